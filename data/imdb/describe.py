"""The film reviews' part of `python -m data.describe`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data import facts, features, task_files
from data.describe import grouped, packaged, print_file, print_sizes, rate, texts
from data.generic.formats import CSV
from data.generic.labels import Labels
from data.imdb import formats, reader
from data.records import SPLITS, Record
from data.task_files import TaskFile


def describe() -> None:
    """Prints the figures of the packaged reviews."""
    task, source, reviews = packaged("imdb")
    file = Path(source.path)
    print_file("imdb", reader.PACKAGE, source, 3)
    all_texts = texts(reviews)
    words = sorted(len(text.split()) for text in all_texts)
    quantiles = [f"p{p} {words[p * len(words) // 100]:,}" for p in (25, 50, 75, 95)]
    longest = max(map(len, all_texts))
    print(f"words: {', '.join(quantiles)}, most {words[-1]:,}; longest {longest:,} characters")
    for what, pattern in (
        ("<br />", r"<br />"),
        ("C1 control characters", r"[\x80-\x9f]"),
        ("other tags", r"</?(?!br)[A-Za-z][^>]{0,20}>"),
        ("character entities", r"&#?[A-Za-z0-9]+;"),
    ):
        print(f"with {what}: {sum(bool(re.search(pattern, text)) for text in all_texts):,}")
    normal = "".join(map(task.task.normal_form.apply, all_texts))
    outside = re.findall(r"[^\x00-\x7f]", normal)
    print(
        f"in normal form: characters {len(normal):,}, outside ASCII {len(outside):,} "
        f"({len(set(outside))} different)"
    )
    groups = grouped(reviews, lambda review: facts.same_text(str(review.features["text"])))
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
    for split, found in print_sizes(facts.without_repeats(reviews), task).items():
        if found:
            labels, buckets = found["values"][features.LABEL], found["values"]["length_bucket"]
            counts = ", ".join(
                f"{name} {buckets[name]:,}"
                for name in sorted(buckets, key=lambda name: int(re.split("[-+]", name)[0]))
            )
            print(f"{split}: label 0 {labels['0']:,}, label 1 {labels['1']:,}; words {counts}")
    _print_domain("imdb", all_texts, task)
    of_classes = Labels(task.task.classes, task.reading.aliases)
    rows = (
        row for row in formats.table_rows(CSV, file, of_classes) if isinstance(row, formats.Row)
    )
    snippets = [row.text for row in rows if row.source != reader.PACKAGED_SOURCE]
    _print_domain("Rotten Tomatoes snippets", snippets, task)
    for other in task_files.built_in_tasks():
        if other != task.task.name:
            _print_domain(other, texts(packaged(other)[2]), task)


def _print_domain(name: str, of_domain: Sequence[str], task: TaskFile) -> None:
    records = [Record(str(i), "train", {"text": text}, "", 0) for i, text in enumerate(of_domain)]
    words = sum(len(text.split()) for text in of_domain)
    (film,) = task.checks.word_rates
    print(
        f"{name}: texts {len(of_domain):,}, film words {rate(records, film.words):.2f} per "
        f"1,000 words, words per text {words / len(of_domain):.0f}"
    )
