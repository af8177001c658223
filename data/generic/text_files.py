"""Text files: one long text that is cut into documents, or a folder of texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from data.decoding import ERRORS, printable
from data.errors import DataError
from data.generic.streams import (
    LONGEST_FIELD,
    LONGEST_FILE,
    BoundedLines,
    first_bytes,
    open_text,
)
from data.records import TOO_LONG, DeadLetter

# Of a text that is cut at blank lines. The parts are small, so that the split by hash has enough
# of them to be near its shares.
DOCUMENT_CHARACTERS = 2_000

_LONGEST_TITLE = 80  # characters


@dataclass(frozen=True)
class Document:
    """A document or, if it is too long, a part of it.

    Attributes:
        text: with line ends `\\n`; of several blank lines in sequence one is kept.
        title: the line at which the document begins, if a pattern found it, else "".
        line: the first line.
    """

    text: str
    title: str
    line: int


def long_text(path: Path, documents_at: str, max_characters: int) -> Iterator[Document]:
    """Yields the documents of one long text, each in memory on its own.

    Args:
        path: of the file.
        documents_at: a pattern of the lines at which a document begins; text before the first is
            a document too. "": documents have about DOCUMENT_CHARACTERS and end at blank lines or,
            if there are none, at line ends.
        max_characters: a longer document is cut into parts, at blank lines if possible.

    Raises:
        DataError: if no line matches the pattern, or the file cannot be read.
    """
    if not documents_at:
        soft = min(DOCUMENT_CHARACTERS, max_characters)
        yield from _documents(path, None, soft, min(2 * DOCUMENT_CHARACTERS, max_characters))
        return
    with open_text(path) as stream:
        begins = re.compile(documents_at)
        if not any(begins.search(line.rstrip("\n")) for line in BoundedLines(stream)):
            raise DataError(
                f"{path}: expected lines that match {documents_at!r}, found none. Correct"
                " reading.documents_at in the task's task.toml."
            )
    yield from whole_texts(path, documents_at, max_characters)


def whole_texts(path: Path, documents_at: str, max_characters: int) -> Iterator[Document]:
    """Yields a file as one document or, if lines match a pattern, several; as `long_text`."""
    hard = min(max_characters, LONGEST_FIELD)
    begins = re.compile(documents_at) if documents_at else None
    yield from _documents(path, begins, max(1, hard * 3 // 4), hard)


def whole_file(path: Path) -> str | DeadLetter:
    """The content of a file that is one record; bytes outside UTF-8 are escaped."""
    content = first_bytes(path, LONGEST_FILE)
    if len(content) == LONGEST_FILE:
        excerpt = printable(content[:400].decode("utf-8", ERRORS))
        return DeadLetter(str(path), 0, TOO_LONG, excerpt)
    with open_text(path) as stream:
        return stream.read()


def _documents(
    path: Path, begins: re.Pattern[str] | None, soft: int, hard: int
) -> Iterator[Document]:
    """Cuts a text where `begins` matches, at a blank line after `soft` characters, and at the
    last line end, or else space, before `hard` characters.
    """
    lines: list[str] = []
    size = first = 0
    title = ""

    def cut() -> Iterator[Document]:
        nonlocal size
        text = "".join(lines).strip("\n").rstrip()
        lines.clear()
        size = 0
        if text.strip():
            yield Document(text, title, first)

    with open_text(path) as stream:
        for number, piece, starts_line in _pieces(stream, hard):
            blank = starts_line and not piece.strip()
            if begins and starts_line and begins.search(piece.rstrip("\n")):
                yield from cut()
                title = piece.strip()[:_LONGEST_TITLE]
            elif lines and ((blank and size >= soft) or size + len(piece.rstrip("\n")) > hard):
                yield from cut()
            if blank and (not lines or not lines[-1].strip()):
                continue
            if not lines:
                first = number
            lines.append("\n" if blank else piece)
            size += len(lines[-1])
    yield from cut()


def _pieces(stream: TextIO, longest: int) -> Iterator[tuple[int, str, bool]]:
    """Yields (number of the line, line or a piece of it, whether the piece begins the line)."""
    number, starts_line, rest = 1, True, ""
    while more := stream.readline(longest + 1 - len(rest)):
        piece, rest = rest + more, ""
        if piece.endswith("\n") or len(piece) <= longest:  # a whole line, or the end of one
            yield number, piece, starts_line
            number, starts_line = number + 1, True
            continue
        # A cut within a word, if there is no space in the second half.
        at = piece.rfind(" ", longest // 2, longest) + 1 or longest
        yield number, piece[:at], starts_line
        rest, starts_line = piece[at:], False
    if rest:
        yield number, rest, starts_line
