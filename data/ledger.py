"""The facts about a corpus that `check_corpus` judges, counted from its records.

Ingest counts them in Beam, record by record with `record_facts`, adds them up, and writes
them into records.json; tests and `python -m data.describe` count them here in one loop.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from data.records import SPLITS, DeadLetter, Record, Source

# Features whose values are few enough to count each of them.
SMALL_DOMAINS = ("label", "book", "testament", "length_bucket")

# Which of a group of repeats is kept: the split that is most precious, then the first key.
_KEEP_ORDER = ("test", "eval", "train")

_WORD = re.compile(r"[a-z']+")


def record_facts(record: Record, markers: Iterable[str]) -> dict[str, Any]:
    """Returns the facts of one record, in the form of one split's entry in the ledger.

    Keys: records (1), lines, words (runs of ASCII letters and apostrophes, in lower
    case), characters, markers (word to count, words that occur only) and values (feature
    to {value: 1}).
    """
    text = str(record.features["text"])
    words = _WORD.findall(text.lower())
    wanted = frozenset(markers)
    return {
        "records": 1,
        "lines": text.count("\n") + 1,
        "words": len(words),
        "characters": len(text),
        "markers": dict(Counter(word for word in words if word in wanted)),
        "values": {
            name: {str(record.features[name]): 1}
            for name in SMALL_DOMAINS
            if name in record.features
        },
    }


def add_facts(total: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Adds `more` into `total`, which may start as {}, and returns `total`."""
    for name, value in more.items():
        if isinstance(value, Mapping):
            add_facts(total.setdefault(name, {}), value)
        else:
            total[name] = total.get(name, 0) + value
    return total


def same_text(text: str) -> str:
    """What two texts that count as repeats of each other share."""
    return " ".join(text.split())


def ledger(source: Source, read: Iterable[Record | DeadLetter], markers: Iterable[str]) -> dict:
    """Returns the ledger of one pass over a source that samples nothing.

    Drops repeats as ingest does: of the records with the same text one stays, from the
    split "test" if there is one, then "eval", then "train", and there the smallest key.
    Holds all records in memory.
    """
    markers = tuple(markers)
    dead: Counter[str] = Counter()
    kept: dict[str, Record] = {}
    in_all = 0
    for item in read:
        in_all += 1
        if isinstance(item, DeadLetter):
            dead[item.reason] += 1
            continue
        text = same_text(str(item.features["text"]))
        kept[text] = min(kept.get(text, item), item, key=_precedence)
    facts: dict[str, dict] = {split: {} for split in SPLITS}
    for record in kept.values():
        add_facts(facts[record.split], record_facts(record, markers))
    return {
        "source": {
            "task": source.task,
            "kind": source.kind,
            "path": source.path,
            "sha256": source.sha256,
        },
        "read": in_all,
        "examples": {split: facts[split].get("records", 0) for split in SPLITS},
        "dead_letters": dict(dead),
        "repeats": in_all - sum(dead.values()) - len(kept),
        "sampled_out": 0,
        "facts": facts,
        "repeats_across_splits": 0,
    }


def _precedence(record: Record) -> tuple[int, str]:
    return _KEEP_ORDER.index(record.split), record.key


def total_facts(of: Mapping) -> dict[str, Any]:
    """Returns a ledger's facts added up over its splits."""
    total: dict[str, Any] = {}
    for split in SPLITS:
        add_facts(total, of["facts"].get(split, {}))
    return total


def rate_per_thousand(facts: Mapping[str, Any], words: Iterable[str]) -> float:
    """How many of a thousand words are among `words`; 0.0 where there is no text."""
    counts = facts.get("markers", {})
    return 1000 * sum(counts.get(word, 0) for word in words) / max(facts.get("words", 0), 1)
