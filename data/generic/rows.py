"""Rows: what each format yields, and how columns are found by their names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.decoding import ERRORS, printable
from data.errors import DataError
from data.tasks import Reading, Task

# Columns that every row has, unless its source has one of the same name: the name, without
# suffixes, of the file that holds it; the first folder of its path within the source; and, in a
# long text, the line at which its document begins.
FILE, FOLDER, DOCUMENT = "file", "folder", "document"


@dataclass(frozen=True)
class Row:
    """One record as in its source.

    Attributes:
        values: by name of a wanted column; None if there is none.
        file, line: as in data.records.Record.
    """

    values: Mapping[str, str | None]
    file: str
    line: int


def wanted_columns(task: Task, reading: Reading) -> tuple[str, ...]:
    """The names of the columns that the task reads, each once."""
    label = (reading.label,) if task.kind == "classification" else ()
    split = (reading.split.column,) if reading.split.by != "hash" else ()
    return tuple(dict.fromkeys((reading.text, *label, *split, *reading.columns)))


def given_values(root: Path, file: Path) -> dict[str, str]:
    """The values of FILE, FOLDER and DOCUMENT, as far as the file's path tells them."""
    parts = file.relative_to(root).parts
    return {
        FILE: file.name.partition(".")[0] or file.name,
        FOLDER: parts[0] if len(parts) > 1 else "",
        DOCUMENT: "",
    }


def located(
    where: str,
    found: Sequence[str],
    wanted: Sequence[str],
    given: Mapping[str, str],
    how: str = "",
) -> dict[str, int | None]:
    """The index of each wanted column among those found; None if its value is given.

    A name matches as it is or else, if only one column does, in any case.

    Args:
        where, how: the names were found, for messages.

    Raises:
        DataError: if a name occurs twice, or a wanted column is missing.
    """
    for name in dict.fromkeys(found):
        if name and found.count(name) > 1:
            raise DataError(
                f"{where}: expected columns with different names, got {printable(name[:40])!r}"
                f" {_times(found.count(name))}. Rename or remove one."
            )
    places: dict[str, int | None] = {}
    for name in wanted:
        places[name] = index_of(name, found)
        if places[name] is None and name not in given:
            raise DataError(
                f"{where}: expected the columns {_listed(wanted)}, found {_counted(found)}"
                f"{', ' * bool(how)}{how}. Rename them, or name them in [reading] of your task's"
                " task.toml."
            )
    return places


def index_of(name: str, found: Sequence[str]) -> int | None:
    """The index of the column `name`, also if its case differs and no other matches; or None."""
    if name in found:
        return found.index(name)
    same = [index for index, other in enumerate(found) if other.casefold() == name.casefold()]
    return same[0] if len(same) == 1 else None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(printable(name[:40])) for name in names[:8])
    return (shown + (", ..." if len(names) > 8 else "")) or "none"


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} columns, {_listed(names)}" if len(names) > 8 else _listed(names)


def _times(number: int) -> str:
    return "twice" if number == 2 else f"{number} times"


def as_text(value: Any) -> str | None:
    """A value of JSON or Parquet as text; None for null and NaN.

    Whole numbers have no point (a column of labels with gaps arrives as 1.0), truth values are
    "true" and "false".

    Raises:
        TypeError: if it is a list or an object.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", ERRORS)
    if isinstance(value, (list, dict, tuple, set)):
        raise TypeError(f"expected one value, got {str(value)[:60]}")
    return str(value)
