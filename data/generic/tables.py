"""Tables of any format: CSV, JSON or Parquet, by their columns' names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from data.generic import delimited, json_lines, parquet
from data.generic.formats import CSV, JSON
from data.generic.rows import Row
from data.records import DeadLetter


def rows(
    kind: str,
    file: Path,
    required: Sequence[str],
    wanted: Sequence[str],
    given: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Row | DeadLetter]:
    """Yields the rows of a file.

    Args:
        kind: CSV, JSON or PARQUET.
        required: columns without which a JSON object is malformed.
        wanted: all columns that are read.
        given: values of columns that the file may lack.

    Raises:
        DataError: if the file cannot be read, or a header lacks a wanted column or has it twice.
    """
    if kind == CSV:
        return delimited.rows(file, wanted, given)
    if kind == JSON:
        return json_lines.rows(file, required, wanted, given)
    return parquet.rows(file, wanted, given)


def columns(kind: str, file: Path) -> list[str]:
    """The names in a header, or the keys of the first object; raises as `rows`."""
    if kind == CSV:
        return delimited.columns(file)
    return json_lines.columns(file) if kind == JSON else parquet.columns(file)


def check(
    kind: str, file: Path, wanted: Sequence[str], given: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Reads the first row, if there is one; raises as `rows`. Objects of JSON may differ."""
    required = () if kind == JSON else wanted
    next(rows(kind, file, required, wanted, given), None)
