"""Facts about a corpus: counted from its records, checked by data/checks.py.

The facts of a split, as in the ledger under "facts":

    {"records": 103, "lines": 2695, "words": 69182, "characters": 360709,
     "markers": {"thou": 455}, "values": {"testament": {"old": 80, "new": 23}}}

Words are separated by white space. A marker is counted wherever it is a whole word, in any
case. components/text_example_gen applies `split_facts` to each record and adds up the counts
in Beam, for corpora of any size.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from data.records import SPLITS, Record

# Of repeats, the record in the first of these splits is kept; of several, the smallest key.
_KEEP_ORDER = ("test", "eval", "train")


def same_text(text: str) -> str:
    """Returns `text` with white space folded: equal for two texts that are repeats."""
    return " ".join(text.split())


def without_repeats(records: Iterable[Record]) -> list[Record]:
    """Returns the records with one of each group of repeats, sorted by key, as ingest does."""
    kept: dict[str, Record] = {}
    for record in records:
        text = same_text(str(record.features["text"]))
        kept[text] = min(kept.get(text, record), record, key=precedence)
    return sorted(kept.values(), key=lambda record: record.key)


def precedence(record: Record) -> tuple[int, str]:
    """Sort key of repeats: the first is kept, so a held-out text stays out of `train`."""
    return _KEEP_ORDER.index(record.split), record.key


def split_facts(records: Iterable[Record], markers: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Returns the facts of each split.

    Args:
        records: of a corpus, all or some.
        markers: lower-case words.
    """
    words = "|".join(map(re.escape, markers)) or r"(?!)"  # without markers: never
    pattern = re.compile(rf"\b(?:{words})\b")
    facts: dict[str, dict[str, Any]] = {split: {} for split in SPLITS}
    for record in records:
        add_counts(facts[record.split], _record_facts(record, pattern))
    return facts


def _record_facts(record: Record, pattern: re.Pattern[str]) -> dict[str, Any]:
    text = str(record.features["text"])
    return {
        "records": 1,
        "lines": text.count("\n") + 1,
        "words": len(text.split()),
        "characters": len(text),
        "markers": Counter(pattern.findall(text.lower())),
        "values": {
            name: {str(value): 1} for name, value in record.features.items() if name != "text"
        },
    }


def add_counts(total: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Adds `more` to `total` in place, counts in nested mappings too; returns `total`."""
    for name, value in more.items():
        if isinstance(value, Mapping):
            add_counts(total.setdefault(name, {}), value)
        else:
            total[name] = total.get(name, 0) + value
    return total


def total_facts(ledger: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the facts in a ledger, summed over its splits."""
    total: dict[str, Any] = {}
    for split in SPLITS:
        add_counts(total, ledger["facts"].get(split, {}))
    return total


def rate_per_thousand(facts: Mapping[str, Any], words: Iterable[str]) -> float:
    """Returns how many of 1,000 words are among `words`; 0.0 for no text."""
    counts = facts.get("markers", {})
    return 1000 * sum(counts.get(word, 0) for word in words) / max(facts.get("words", 0), 1)
