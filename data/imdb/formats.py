"""The three formats of reviews, each read as a stream of rows.

- a CSV file with a header that names `text` and `label` (the packaged corpus is such a file,
  with a column `source` and other reviews besides IMDB's);
- the folder aclImdb: train/pos/<id>_<rating>.txt, train/urls_pos.txt, and so on;
- the archive aclImdb_v1.tar.gz of that folder.

Each reader yields, in the order of the source, a Row or, for a review that cannot be used, a
DeadLetter; it keeps one row in memory. data/imdb/reader.py turns the rows into records.
"""

from __future__ import annotations

import csv
import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from data.decoding import ERRORS, printable, repaired
from data.errors import DataError
from data.records import BAD_LABEL, EMPTY_TEXT, INVALID_UTF8, MALFORMED_LINE, TOO_LONG, DeadLetter

# Limits that bound memory: a longer field makes its row a dead letter, a longer line is cut
# (its field is then too long), a longer file is not read to its end. The longest packaged
# review has 13,704 characters.
LONGEST_FIELD = 1 << 19  # characters
LONGEST_LINE = 2 * LONGEST_FIELD  # characters
LONGEST_FILE = 4 * LONGEST_FIELD  # bytes

_LABELS = {"0": 0, "neg": 0, "negative": 0, "1": 1, "pos": 1, "positive": 1}


@dataclass(frozen=True)
class Row:
    """One review as in its source.

    Attributes:
        key: unique; keys sort in the order of the source.
        film: the address of the film's page; "" if the source has none.
        source: the CSV's column `source`; "" if it has none.
        within_label: index among the rows with the same `label` and `source`, from 0.
    """

    key: str
    text: str
    label: int
    film: str
    source: str
    within_label: int
    file: str
    line: int


# --- CSV ------------------------------------------------------------------------------


def is_csv(path: Path) -> bool:
    """Whether the file's first line is a header with `text` and `label`."""
    with path.open(encoding="utf-8-sig", errors=ERRORS) as stream:
        return {"text", "label"} <= set(_header(stream.readline(1000)))


def _header(line: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(csv.reader([line.rstrip("\r\n")]), [])]
    except csv.Error:  # not a text file
        return []


def csv_rows(path: Path) -> Iterator[Row | DeadLetter]:
    """Yields the rows of a CSV file; quoted fields may hold line ends.

    Quotes are strict: a quote that is not doubled within a quoted field makes the row
    malformed, and reading resumes at the next line. So a stray quote costs a row or two, not
    the rest of the file.

    Args:
        path: of a file in UTF-8, with or without a byte order mark. The header has `text` and
            `label` in any order; other columns except `source` are ignored.

    Raises:
        DataError: if the header lacks `text` or `label`.
    """
    csv.field_size_limit(LONGEST_FIELD)  # applies to the whole process
    with path.open(encoding="utf-8-sig", errors=ERRORS, newline="") as stream:
        lines = _Lines(stream)
        header = _header(next(lines, ""))
        if not {"text", "label"} <= set(header):
            raise DataError(
                f"{path}:1: expected a CSV header with 'text' and 'label', got "
                f"{','.join(header)[:60]!r}. See data/README.md for the accepted formats."
            )
        yield from _csv_body(str(path), header, lines)


class _Lines:
    """The lines of a stream, each cut at LONGEST_LINE; keeps the last line."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.last = ""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.last = rest = self.stream.readline(LONGEST_LINE)
        if not rest:
            raise StopIteration
        while rest and rest[-1] not in "\r\n":  # skips the rest of a long line
            rest = self.stream.readline(LONGEST_LINE)
        return self.last


def _csv_body(file: str, header: list[str], lines: _Lines) -> Iterator[Row | DeadLetter]:
    reader = csv.reader(lines, strict=True)
    text_at, label_at = header.index("text"), header.index("label")
    source_at = header.index("source") if "source" in header else None
    index = 0
    within: dict[tuple[str, int], int] = {}
    while True:
        line = reader.line_num + 2  # the reader has not counted the header
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = TOO_LONG if "field limit" in str(error) else MALFORMED_LINE
            yield DeadLetter(file, line, reason, f"{error}: {printable(lines.last[:200])}")
            continue
        if not fields:  # a blank line
            continue
        index += 1
        if len(fields) != len(header) or any("\0" in field for field in fields):
            yield DeadLetter(file, line, MALFORMED_LINE, printable(",".join(fields)))
            continue
        source = fields[source_at] if source_at is not None else ""
        review = checked(fields[text_at], fields[label_at], file, line)
        if isinstance(review, DeadLetter):
            yield review
            continue
        text, label = review
        count = within.setdefault((source, label), 0)
        within[source, label] += 1
        yield Row(f"{index:09d}", text, label, "", source, count, file, line)


def checked(text: str, label: str, file: str, line: int) -> tuple[str, int] | DeadLetter:
    """Returns the repaired text and the label as 0 or 1, or a dead letter."""
    readable = repaired(text)
    if readable is None:
        return DeadLetter(file, line, INVALID_UTF8, printable(text))
    if not readable.strip():
        return DeadLetter(file, line, EMPTY_TEXT, f"label {printable(label)!r}, no text")
    number = _LABELS.get(label.strip().lower())
    if number is None:
        return DeadLetter(file, line, BAD_LABEL, f"{printable(label)[:40]!r}: {readable}")
    return readable, number


# --- aclImdb --------------------------------------------------------------------------

ACLIMDB_SHARDS = ("train/neg", "train/pos", "test/neg", "test/pos")
_REVIEW = re.compile(r"(train|test)/(neg|pos)/([^/]+)\.txt")
_URLS = re.compile(r"(train|test)/urls_(neg|pos)\.txt")
_NAME = re.compile(r"([0-9]{1,8})_([0-9]{1,2})")


def is_aclimdb(folder: Path) -> bool:
    """Whether the folder holds aclImdb's training reviews."""
    return (folder / "train/pos").is_dir() and (folder / "train/neg").is_dir()


def aclimdb_files(folder: Path) -> Iterator[Path]:
    """Yields the files that are read: labelled reviews and film addresses."""
    for shard in ACLIMDB_SHARDS:
        if (folder / shard).is_dir():
            yield from (folder / shard).glob("*.txt")
            yield _urls_file(folder, shard)


def _urls_file(folder: Path, shard: str) -> Path:
    split, side = shard.split("/")
    file = folder / split / f"urls_{side}.txt"
    if not file.is_file():
        raise DataError(
            f"{file}: missing; it names the film of each review in {shard}, so that reviews of "
            "one film stay in one split. Unpack the whole archive again, or give the reviews "
            "as CSV."
        )
    return file


def folder_rows(folder: Path, shard: str) -> Iterator[Row | DeadLetter]:
    """Yields the reviews of one part of the folder aclImdb, such as "train/pos"."""
    films = _films(_urls_file(folder, shard).read_bytes())
    for file in sorted((folder / shard).glob("*.txt"), key=lambda file: _order(file.stem)):
        with file.open("rb") as stream:
            content = stream.read(LONGEST_FILE)
        yield _review_row(f"{shard}/{file.name}", content, films, str(file))


def archive_rows(archive: Path) -> Iterator[Row | DeadLetter]:
    """Yields the reviews in an archive of the folder aclImdb, in the archive's order.

    Reads the archive twice, as the film addresses come after some of the reviews.

    Raises:
        DataError: if the archive is damaged, or lacks the film addresses of its reviews.
    """
    films: dict[str, list[str]] = {}
    try:
        for name, content in _members(archive, _URLS, -1):
            films["/".join(_URLS.fullmatch(name).groups())] = _films(content)  # type: ignore[union-attr]
        for name, content in _members(archive, _REVIEW, LONGEST_FILE):
            shard = name.rpartition("/")[0]
            if shard not in films:
                raise DataError(
                    f"{archive}: holds {name} but no film addresses for {shard} "
                    f"(urls_{shard[-3:]}.txt). Get the archive again."
                )
            yield _review_row(name, content, films[shard], f"{archive}:{name}")
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{archive}: damaged archive ({error}). Get it again.") from error


def _members(archive: Path, wanted: re.Pattern[str], most: int) -> Iterator[tuple[str, bytes]]:
    """Yields (name below aclImdb/, first `most` bytes) of the wanted files, without unpacking."""
    compressed = archive.suffix in (".gz", ".tgz")
    with gzip.open(archive) if compressed else archive.open("rb") as stream:
        with tarfile.open(fileobj=stream, mode="r|") as members:
            for member in members:
                name = member.name.removeprefix("./").partition("/")[2]
                if member.isfile() and wanted.fullmatch(name):
                    content = members.extractfile(member)
                    yield name, content.read(most) if content else b""
        # tarfile takes damage for the end of the archive; reading to the end checks gzip's CRC.
        while stream.read(1 << 20):
            pass


def _films(urls: bytes) -> list[str]:
    return [line.strip() for line in urls.decode("utf-8", ERRORS).split("\n")]


def _order(stem: str) -> tuple[int, str]:
    name = _NAME.fullmatch(stem)
    return (int(name[1]) if name else -1, stem)


def _review_row(name: str, content: bytes, films: list[str], file: str) -> Row | DeadLetter:
    """Returns the row of one file; its name holds the review's number and its stars."""
    text = content.decode("utf-8", ERRORS)
    split, side, stem = _REVIEW.fullmatch(name).groups()  # type: ignore[union-attr]
    parts = _NAME.fullmatch(stem)
    if parts is None or int(parts[1]) >= len(films) or not films[int(parts[1])]:
        return DeadLetter(file, 0, MALFORMED_LINE, f"no <id>_<rating> with a film: {name}")
    if len(content) == LONGEST_FILE:
        return DeadLetter(file, 0, TOO_LONG, printable(text))
    number, rating = int(parts[1]), int(parts[2])
    if not (7 <= rating <= 10 if side == "pos" else 1 <= rating <= 4):
        return DeadLetter(file, 0, BAD_LABEL, f"{rating} of 10 stars among {side}: {text[:100]}")
    review = checked(text, side, file, 0)
    if isinstance(review, DeadLetter):
        return review
    key = f"{split}/{side}/{number:08d}"
    return Row(key, review[0], review[1], films[number], "", number, file, 0)
