"""The formats of reviews, each read as a stream of rows.

- a table (CSV, TSV, JSON or Parquet) with the columns `text` and `label` (the packaged corpus is
  one, with a column `source` and other reviews besides IMDB's);
- the folder aclImdb: train/pos/<id>_<rating>.txt, train/urls_pos.txt, and so on;
- the archive aclImdb_v1.tar.gz of that folder.

Each reader yields, in the order of the source, a Row or, for a review that cannot be used, a
DeadLetter; it keeps one row in memory. data/imdb/reader.py turns the rows into records.
"""

from __future__ import annotations

import dataclasses
import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.decoding import ERRORS, printable
from data.errors import DataError
from data.generic import tables
from data.generic.formats import CSV, TEXT, kind_of
from data.generic.labels import Labels, checked
from data.generic.streams import LONGEST_FILE
from data.records import BAD_LABEL, MALFORMED_LINE, TOO_LONG, DeadLetter
from data.regular_files import BROKEN_LINK, FOLDER, is_file, open_bytes
from data.regular_files import kind_of as kind_at


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


# --- tables ---------------------------------------------------------------------------

COLUMNS, SOURCE = ("text", "label"), "source"


def table_kind(path: Path) -> str:
    """CSV, JSON or PARQUET; a file with another name is taken for CSV.

    Raises:
        DataError: if it cannot be read, or its header lacks a column of COLUMNS or has it twice.
    """
    try:
        kind = kind_of(path)
    except DataError:
        kind = CSV
    kind = CSV if kind == TEXT else kind
    tables.check(kind, path, COLUMNS)
    return kind


def table_rows(kind: str, path: Path, labels: Labels) -> Iterator[Row | DeadLetter]:
    """Yields the rows of a table; see data/generic/tables.py.

    Args:
        kind: CSV, JSON or PARQUET.
        path: of a file with the columns `text` and `label` in any order; other columns except
            `source` are ignored.
        labels: the classes and their other spellings.

    Raises:
        DataError: as `table_kind`.
    """
    index = 0
    within: dict[tuple[str, int], int] = {}
    for row in tables.rows(kind, path, COLUMNS, (*COLUMNS, SOURCE), {SOURCE: ""}):
        if isinstance(row, DeadLetter):
            yield row
            continue
        index += 1
        review = checked(row.values["text"], row.values["label"], labels, row.file, row.line)
        if isinstance(review, DeadLetter):
            columns = {name: row.values[name] for name in COLUMNS}
            yield dataclasses.replace(review, row=columns)
            continue
        text, label = review
        source = row.values[SOURCE] or ""
        count = within.setdefault((source, label), 0)
        within[source, label] += 1
        yield Row(f"{index:09d}", text, label, "", source, count, row.file, row.line)


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
    if not is_file(file):
        raise DataError(
            f"{file}: missing; it names the film of each review in {shard}, so that reviews of "
            "one film stay in one split. Unpack the whole archive again, or give the reviews "
            "as CSV."
        )
    return file


def folder_rows(folder: Path, shard: str, labels: Labels) -> Iterator[Row | DeadLetter]:
    """Yields the reviews of one part of the folder aclImdb, such as "train/pos"."""
    with open_bytes(_urls_file(folder, shard)) as stream:
        films = _films(stream.read())
    seen: set[str] = set()
    for file in sorted((folder / shard).glob("*.txt"), key=lambda file: _order(file.stem)):
        if kind_at(file) in (BROKEN_LINK, FOLDER):
            yield DeadLetter(str(file), 0, MALFORMED_LINE, f"no file, but a {kind_at(file)}")
            continue
        with open_bytes(file) as stream:
            content = stream.read(LONGEST_FILE)
        row = _review_row(f"{shard}/{file.name}", content, films, labels, str(file))
        yield _first_of_key(row, seen)


def archive_rows(archive: Path, labels: Labels) -> Iterator[Row | DeadLetter]:
    """Yields the reviews in an archive of the folder aclImdb, in the archive's order.

    Reads the archive twice, as the film addresses come after some of the reviews.

    Raises:
        DataError: if the archive is damaged, or lacks the film addresses of its reviews or has
            them twice.
    """
    films: dict[str, list[str]] = {}
    seen: set[str] = set()
    try:
        for name, content in _members(archive, _URLS, -1):
            shard = "/".join(_URLS.fullmatch(name).groups())  # type: ignore[union-attr]
            if shard in films:
                raise DataError(f"{archive}: holds {name} twice. Get the archive again.")
            if content is None:
                raise DataError(f"{archive}: {name} is no file, but a link. Get the archive again.")
            films[shard] = _films(content)
        for name, content in _members(archive, _REVIEW, LONGEST_FILE):
            shard = name.rpartition("/")[0]
            if shard not in films:
                raise DataError(
                    f"{archive}: holds {name} but no film addresses for {shard} "
                    f"(urls_{shard[-3:]}.txt). Get the archive again."
                )
            file = f"{archive}:{name}"
            if content is None:
                yield DeadLetter(file, 0, MALFORMED_LINE, "no file, but a link or the like")
            else:
                row = _review_row(name, content, films[shard], labels, file)
                yield _first_of_key(row, seen)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{archive}: damaged archive ({error}). Get it again.") from error


def _members(
    archive: Path, wanted: re.Pattern[str], most: int
) -> Iterator[tuple[str, bytes | None]]:
    """Yields (name below aclImdb/, first `most` bytes) of the wanted members, without unpacking.

    The bytes of a member that is no file, such as a link, are None.
    """
    compressed = archive.suffix in (".gz", ".tgz")
    with open_bytes(archive) as packed, gzip.open(packed) if compressed else packed as stream:
        with tarfile.open(fileobj=stream, mode="r|") as members:
            for member in members:
                name = member.name.removeprefix("./").partition("/")[2]
                if wanted.fullmatch(name):
                    content = members.extractfile(member) if member.isfile() else None
                    yield name, content.read(most) if content else None
        # tarfile takes damage for the end of the archive; reading to the end checks gzip's CRC.
        while stream.read(1 << 20):
            pass


def _first_of_key(row: Row | DeadLetter, seen: set[str]) -> Row | DeadLetter:
    """The row, unless one of `seen` has its key; adds the key."""
    if isinstance(row, DeadLetter):
        return row
    if row.key in seen:
        what = f"another review has the number {row.key}: {row.text[:100]}"
        side = row.key.split("/")[1]
        return DeadLetter(row.file, 0, MALFORMED_LINE, what, {"text": row.text, "label": side})
    seen.add(row.key)
    return row


def _films(urls: bytes) -> list[str]:
    return [line.strip() for line in urls.decode("utf-8", ERRORS).split("\n")]


def _order(stem: str) -> tuple[int, str]:
    name = _NAME.fullmatch(stem)
    return (int(name[1]) if name else -1, stem)


def _review_row(
    name: str, content: bytes, films: list[str], labels: Labels, file: str
) -> Row | DeadLetter:
    """Returns the row of one file; its name holds the review's number and its stars."""
    text = content.decode("utf-8", ERRORS)
    split, side, stem = _REVIEW.fullmatch(name).groups()  # type: ignore[union-attr]
    whole = {"text": text, "label": side}
    parts = _NAME.fullmatch(stem)
    if parts is None or int(parts[1]) >= len(films) or not films[int(parts[1])]:
        what = f"no <id>_<rating> with a film: {name}"
        return DeadLetter(file, 0, MALFORMED_LINE, what, whole)
    if len(content) == LONGEST_FILE:
        return DeadLetter(file, 0, TOO_LONG, printable(text))
    number, rating = int(parts[1]), int(parts[2])
    if not (7 <= rating <= 10 if side == "pos" else 1 <= rating <= 4):
        what = f"{rating} of 10 stars among {side}: {printable(text[:100])}"
        return DeadLetter(file, 0, BAD_LABEL, what, whole)
    review = checked(text, side, labels, file, 0)
    if isinstance(review, DeadLetter):
        return dataclasses.replace(review, row=whole)
    key = f"{split}/{side}/{number:08d}"
    return Row(key, review[0], review[1], films[number], "", number, file, 0)
