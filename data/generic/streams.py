"""Opens text files as streams, plain or gzipped, and reads their lines within bounds."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from data.decoding import ERRORS
from data.errors import DataError
from data.regular_files import open_bytes

# Limits that bound memory: a longer field makes its row a dead letter, a longer line is cut
# (its field is then too long), a longer file of one record is not read to its end.
LONGEST_FIELD = 1 << 19  # characters
LONGEST_LINE = 2 * LONGEST_FIELD  # characters
LONGEST_FILE = 4 * LONGEST_FIELD  # bytes

_UTF_8 = "utf-8-sig"
_GZIP = b"\x1f\x8b"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


@contextmanager
def open_text(path: Path, newline: str | None = None) -> Iterator[TextIO]:
    """Yields a file as text: UTF-8 or, by its byte order mark or first two characters, UTF-16.

    Bytes outside UTF-8 are escaped (see data/decoding.py). A gzipped file is known by its content.

    Raises:
        DataError: in the block too, if it is no regular file, cannot be read, is a damaged archive,
            is in UTF-32, or is damaged UTF-16.
    """
    try:
        with _open_bytes(path) as raw:
            start = raw.peek(4)[:4]
            if start.startswith(_UTF_32):
                raise DataError(f"{path}: expected UTF-8 or UTF-16, got UTF-32. Save it as UTF-8.")
            encoding = _encoding(start)
            errors = ERRORS if encoding == _UTF_8 else "strict"
            with io.TextIOWrapper(raw, encoding, errors, newline) as stream:
                yield stream
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}. Get the file again.") from error


def encoding_of(stream: TextIO) -> str:
    """The name of the encoding in which `open_text` reads a file."""
    return "UTF-8" if stream.encoding == _UTF_8 else "UTF-16"


def _encoding(start: bytes) -> str:
    """Of a text that begins with these four bytes.

    UTF-8 has no zero bytes. In UTF-16 every second byte of a Latin text is zero.
    """
    if start.startswith(_UTF_16):
        return "utf-16"
    zeros = [byte == 0 for byte in start]
    if zeros == [False, True, False, True]:
        return "utf-16-le"
    return "utf-16-be" if zeros == [True, False, True, False] else _UTF_8


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file, unpacked if it is gzipped; fewer if it is shorter or damaged.

    Raises:
        DataError: if it is no regular file, or cannot be opened.
    """
    try:
        with _open_bytes(path) as raw:
            return raw.read(count)
    except (OSError, EOFError, zlib.error):
        return b""


def _open_bytes(path: Path) -> io.BufferedReader:
    stream = open_bytes(path)
    packed = stream.read(2) == _GZIP
    stream.seek(0)
    # GzipFile has BufferedReader's methods.
    return cast(io.BufferedReader, _Gzip(stream) if packed else stream)


class _Gzip(gzip.GzipFile):
    """Closes the file that it unpacks, too."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(fileobj=stream)
        self._packed = stream

    def close(self) -> None:
        super().close()
        self._packed.close()


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
