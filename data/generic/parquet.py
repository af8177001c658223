"""Parquet: read in batches, one row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data.decoding import printable
from data.errors import DataError
from data.generic.rows import Row, as_text, located
from data.records import MALFORMED_LINE, DeadLetter
from data.regular_files import open_bytes

MAGIC = b"PAR1"
_BATCH = 256  # rows


def rows(
    path: Path, wanted: Sequence[str], given: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Row | DeadLetter]:
    """Yields the rows of a file; the line of a row is its number, from 1.

    Args:
        path: of the file; only the wanted columns are read.
        wanted: names of columns; values are as `as_text` gives them.
        given: values of columns that the file may lack.

    Raises:
        DataError: if a wanted column is missing, or the file cannot be read.
    """
    with _open(path) as file:
        names = list(file.schema_arrow.names)
        places = located(str(path), names, wanted, given)
        read = [names[place] for place in places.values() if place is not None]
        number = 0
        for batch in file.iter_batches(_BATCH, columns=read):
            for values in batch.to_pylist():
                number += 1
                try:
                    row = {
                        name: given[name] if place is None else as_text(values[names[place]])
                        for name, place in places.items()
                    }
                except TypeError as error:
                    excerpt = printable(str(error))
                    yield DeadLetter(str(path), number, MALFORMED_LINE, excerpt, values)
                else:
                    yield Row(row, str(path), number)


def columns(path: Path) -> list[str]:
    """The names of the columns; raises as `rows` if the file cannot be read."""
    with _open(path) as file:
        return list(file.schema_arrow.names)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with open_bytes(path) as stream:
            yield ParquetFile(stream)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        what = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{path}: no readable Parquet: {what}. Get the file again.") from error
