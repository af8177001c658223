"""Opens text files as streams, plain or gzipped, and reads their lines within bounds."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

from data.decoding import ERRORS
from data.errors import DataError

# Limits that bound memory: a longer field makes its row a dead letter, a longer line is cut
# (its field is then too long), a longer file of one record is not read to its end.
LONGEST_FIELD = 1 << 19  # characters
LONGEST_LINE = 2 * LONGEST_FIELD  # characters
LONGEST_FILE = 4 * LONGEST_FIELD  # bytes

_GZIP = b"\x1f\x8b"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


@contextmanager
def open_text(path: Path, newline: str | None = None) -> Iterator[TextIO]:
    """Yields a file as text: UTF-8, or UTF-16 if it begins with UTF-16's byte order mark.

    Bytes outside UTF-8 are escaped (see data/decoding.py). A gzipped file is known by its content.

    Raises:
        DataError: in the block too, if the file cannot be read, is a damaged archive, is in
            UTF-32, or is damaged UTF-16.
    """
    try:
        with _open_bytes(path) as raw:
            start = raw.peek(4)[:4]
            if start.startswith(_UTF_32):
                raise DataError(f"{path}: expected UTF-8 or UTF-16, got UTF-32. Save it as UTF-8.")
            utf_16 = start.startswith(_UTF_16)
            encoding, errors = ("utf-16", "strict") if utf_16 else ("utf-8-sig", ERRORS)
            with io.TextIOWrapper(raw, encoding, errors, newline) as stream:
                yield stream
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}. Get the file again.") from error


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file, unpacked if it is gzipped; fewer if it is shorter or damaged."""
    try:
        with _open_bytes(path) as raw:
            return raw.read(count)
    except (OSError, EOFError, zlib.error):
        return b""


def _open_bytes(path: Path) -> io.BufferedReader:
    with path.open("rb") as stream:
        packed = stream.read(2) == _GZIP
    # GzipFile has BufferedReader's methods.
    return cast(io.BufferedReader, gzip.open(path) if packed else path.open("rb"))


class BoundedLines:
    """The lines of a stream, each cut at LONGEST_LINE.

    Attributes:
        last: the last line.
        cut: whether it was cut.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.last = ""
        self.cut = False

    def __iter__(self) -> BoundedLines:
        return self

    def __next__(self) -> str:
        self.last = rest = self.stream.readline(LONGEST_LINE)
        if not rest:
            raise StopIteration
        self.cut = rest[-1] not in "\r\n" and len(rest) == LONGEST_LINE
        while rest and rest[-1] not in "\r\n":  # skips the rest of a long line
            rest = self.stream.readline(LONGEST_LINE)
        return self.last
