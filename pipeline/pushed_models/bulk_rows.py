"""Reads the rows of a file for bulk inference: JSON lines, CSV or plain text, by its suffix.

Every row of the file gives one Row, in order; an unusable row carries the reason. Memory does not
grow with the file: lines are cut at LONGEST_LINE.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from data.decoding import ERRORS, printable
from data.errors import UserError
from data.generic import delimited
from data.generic.streams import open_text
from data.regular_files import is_file

LONGEST_LINE = 1 << 22  # characters
JSON_LINES, CSV = (".jsonl", ".ndjson", ".json"), (".csv",)
_TEXT = "text"


@dataclass(frozen=True)
class Row:
    """A text, or the reason why a row has none.

    Attributes:
        text: the file's bytes, which may be invalid UTF-8.
        error: "" if the row has a text.
    """

    text: bytes
    error: str = ""


def read_rows(file: Path) -> Iterator[Row]:
    """Yields the rows of `file`.

    - .jsonl, .ndjson, .json: one object with `text` per line; blank lines are skipped.
    - .csv: a header with a column `text`; quoted fields may hold line ends.
    - other suffixes: one text per line; an empty line is an empty text.

    Raises:
        UserError: if there is no such regular file, or a CSV header lacks `text` or has it twice.
    """
    if not is_file(file):
        raise UserError(f"{file}: no such file")
    with open_text(file, newline="\n") as stream:
        suffix = file.suffix.lower()
        if suffix in CSV:
            yield from _csv_rows(file, stream)
        elif suffix in JSON_LINES:
            yield from (_json_row(*line) for line in _lines(stream) if line[0].strip())
        else:
            yield from (_row(*line) for line in _lines(stream))


def _lines(stream: TextIO) -> Iterator[tuple[str, bool]]:
    """Lines without their ends, and whether they are complete."""
    while line := stream.readline(LONGEST_LINE):
        rest = line
        while rest and not rest.endswith("\n"):  # skip the rest
            rest = stream.readline(LONGEST_LINE)
        whole = line.endswith("\n") or len(line) < LONGEST_LINE
        yield line.removesuffix("\n").removesuffix("\r"), whole


def _row(text: str, whole: bool = True) -> Row:
    if not whole:
        return Row(b"", f"expected at most {LONGEST_LINE} characters per line")
    try:
        return Row(text.encode("utf-8", ERRORS))
    except UnicodeEncodeError:  # half a surrogate pair: valid in JSON
        return Row(b"", "text: expected Unicode, got half a surrogate pair")


def _json_row(line: str, whole: bool) -> Row:
    if not whole:
        return _row(line, whole)
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Row(b"", f"expected a JSON object, got {line[:40]!r}: {error}")
    text = value.get(_TEXT) if isinstance(value, dict) else None
    if not isinstance(text, str):
        return Row(b"", f"expected a JSON object with a string {_TEXT!r}, got {line[:40]!r}")
    return _row(text)


def _csv_rows(file: Path, stream: TextIO) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_LINE)  # for the whole process: csv has no narrower setting
    lines = _lines(stream)
    delimiter, names = delimited.header_of(file, next(lines, ("", True))[0], (_TEXT,))
    header = [name.lower() for name in names]
    if header.count(_TEXT) != 1:
        raise UserError(
            f"{file}:1: expected a CSV header with one {_TEXT!r}, got"
            f" {printable(delimiter.join(names))[:60]!r}"
        )
    at = header.index(_TEXT)
    reader = csv.reader((line + "\n" for line, _ in lines), delimiter=delimiter, strict=True)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(b"", f"line {reader.line_num + 1}: {error}")
            continue
        if not fields:  # a blank line
            continue
        if len(fields) != len(header):
            yield Row(
                b"",
                f"line {reader.line_num + 1}: expected {len(header)} fields, got {len(fields)}",
            )
        else:
            yield _row(fields[at])
