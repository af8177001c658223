"""CSV and TSV: a header line, then one record per row, plain or gzipped."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from data.decoding import printable
from data.generic.rows import Row, index_of, located
from data.generic.streams import LONGEST_FIELD, BoundedLines, encoding_of, open_text
from data.records import MALFORMED_LINE, TOO_LONG, DeadLetter

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_TAB_SUFFIXES = (".tsv", ".tab")


def rows(
    path: Path, wanted: Sequence[str], given: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Row | DeadLetter]:
    """Yields the rows of a file; quoted fields may hold line ends; blank lines are skipped.

    Quotes are strict: a quote that is not doubled within a quoted field makes the row malformed,
    and reading resumes at the next line. So a stray quote costs a row or two, not the rest of the
    file.

    Args:
        path: columns are separated by tabs in a .tsv file; in others by that one of comma,
            semicolon, tab and vertical bar that finds most of the wanted columns in the header.
        wanted: names of columns.
        given: values of columns that the file may lack.

    Raises:
        DataError: if the header lacks a wanted column or names one twice, or the file cannot be
            read.
    """
    csv.field_size_limit(LONGEST_FIELD)  # applies to the whole process
    with open_text(path, newline="") as stream:
        lines = BoundedLines(stream)
        delimiter, header = header_of(path, next(lines, ""), wanted)
        how = f"read as {encoding_of(stream)} with {_DELIMITERS[delimiter]} between columns"
        places = located(f"{path}:1", header, wanted, given, how)
        for line, fields in _records(str(path), delimiter, lines):
            if isinstance(fields, DeadLetter):
                yield fields
            elif len(fields) != len(header) or any("\0" in field for field in fields):
                excerpt = f"{len(fields)} of {len(header)} fields: {delimiter.join(fields)}"
                whole = _as_line(fields, delimiter)
                yield DeadLetter(str(path), line, MALFORMED_LINE, printable(excerpt), whole)
            else:
                values = {
                    name: given[name] if place is None else fields[place]
                    for name, place in places.items()
                }
                yield Row(values, str(path), line)


def columns(path: Path) -> list[str]:
    """The names in a file's header; raises as `rows` if the file cannot be read."""
    with open_text(path, newline="") as stream:
        return header_of(path, next(BoundedLines(stream), ""), ())[1]


def header_of(path: Path, line: str, wanted: Sequence[str]) -> tuple[str, list[str]]:
    """The delimiter and the names of a file's first line that fit the wanted columns best."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    delimiters = ("\t",) if suffix in _TAB_SUFFIXES else tuple(_DELIMITERS)
    headers = {delimiter: _names(line, delimiter) for delimiter in delimiters}

    def fit(delimiter: str) -> tuple[int, int]:
        names = headers[delimiter]
        return sum(index_of(name, names) is not None for name in wanted), len(names)

    best = max(delimiters, key=fit)  # of equal ones the first
    return best, headers[best]


def _names(line: str, delimiter: str) -> list[str]:
    try:
        row = next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:  # not a text file
        return []
    return [name.strip() for name in row]


def _as_line(fields: Sequence[str], delimiter: str) -> str:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(fields)
    return line.getvalue()


def _records(
    file: str, delimiter: str, lines: BoundedLines
) -> Iterator[tuple[int, list[str] | DeadLetter]]:
    """Yields (first line, fields, or a dead letter)."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 2  # the reader has not counted the header
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = TOO_LONG if "field limit" in str(error) else MALFORMED_LINE
            excerpt = f"{error}: {printable(lines.last[:200])}"
            yield line, DeadLetter(file, line, reason, excerpt, None if lines.cut else lines.last)
            continue
        if fields:
            yield line, fields
