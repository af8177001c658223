"""Dead letters as JSON lines that can be mended and read again.

A line has the record's own columns and, under KEY, where it was and why it cannot be used:

    {"text": "A fine film", "label": "7",
     "dead_letter": {"file": "reviews.csv", "line": 12, "reason": "bad_label", "excerpt": "..."}}

Readers of JSON ignore KEY, so `--source` takes the file once its columns are mended. A record
without columns, such as a malformed line, is in "row" under KEY, and its columns are to be added.
A row of more than LONGEST_ROW characters is left out, and KEY says so by "cut".
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data import plain_json
from data.records import DeadLetter

KEY = "dead_letter"
LONGEST_ROW = 1 << 16  # characters, as JSON
_MOST = 1 << 26  # characters of a shard's rows, which bounds memory


class Bounded:
    """Drops rows that are too long, or that are too many in one shard."""

    def __init__(self) -> None:
        self._kept = 0

    def __call__(self, letter: DeadLetter) -> DeadLetter:
        """The letter, without its row if that is too long."""
        size = len(_json(letter.row))
        if size > LONGEST_ROW or self._kept + size > _MOST:
            return dataclasses.replace(letter, row=None)
        self._kept += size
        return letter


def line(letter: DeadLetter) -> bytes:
    """The letter as a line. Bytes that are not UTF-8 are escaped, such as \\udcff for 0xff."""
    about: dict[str, Any] = {
        name: getattr(letter, name) for name in ("file", "line", "reason", "excerpt")
    }
    columns: dict[str, Any] = {}
    if letter.row is None:
        about["cut"] = True
    elif isinstance(letter.row, str):
        about["row"] = letter.row
    else:
        columns = {name: value for name, value in letter.row.items() if name != KEY}
    # A lone surrogate cannot be written but as an escape, which is what JSON takes, too.
    return _json({**columns, KEY: about}).encode("utf-8", "backslashreplace") + b"\n"


def read(path: Path, most: int | None = None) -> Iterator[dict[str, Any]]:
    """Yields what KEY holds, of the first `most` lines; the columns are in `columns`."""
    with path.open("rb") as stream:
        for each in itertools.islice(stream, most):
            columns = json.loads(each)
            about = columns.pop(KEY)
            yield {**about, "columns": columns}


def _json(value: Any) -> str:
    return plain_json.dumps(value, ensure_ascii=False, default=str)
