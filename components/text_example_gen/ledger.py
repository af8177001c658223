"""The ledger: what became of every record that was read.

Workers count in flat mappings, from a path such as ("facts", "train", "words") to a
number, because those add up in any order; `make_ledger` nests their sum once, at the end.

    {"source": {"task": "imdb", "kind": "packaged", "path": "...", "sha256": "..."},
     "read": 25000,                                   = the sum of the next four
     "examples": {"train": 22347, "eval": 2557, "test": 0},   written
     "dead_letters": {"empty_text": 3},               unusable, by reason
     "repeats": 96,                                   dropped: the text stands elsewhere
     "sampled_out": 0,                                left out by `fraction`
     "repeats_across_splits": 0,                      texts written to more than one split
     "facts": {"train": {"records": 1, "lines": 1, "words": 1, "characters": 1,
                         "markers": {"thou": 1}, "values": {"label": {"0": 1}}}, ...}}

Facts are of all usable records once repeats are dropped, before sampling, so that they
can be compared with what is known of the whole corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from data.records import SPLITS, Record, Source
from pipeline.features import TEXT

Counts = dict[tuple[str, ...], int]

SMALL_DOMAIN = 256  # a feature with more distinct values than this is not counted by value


def markers_pattern(markers: Iterable[str]) -> re.Pattern[str]:
    """Finds whole words of `markers`, which are in lower case, in lower-case text."""
    words = "|".join(sorted(map(re.escape, markers))) or r"(?!)"
    return re.compile(rf"\b(?:{words})\b")


def record_facts(record: Record, pattern: re.Pattern[str]) -> Counts:
    """Counts one record: its size, its markers, and the value of each feature but the text."""
    text = str(record.features[TEXT])
    at = ("facts", record.split)
    counts: Counts = {
        (*at, "records"): 1,
        (*at, "lines"): text.count("\n") + 1,
        (*at, "words"): len(text.split()),
        (*at, "characters"): len(text),
    }
    for marker in pattern.findall(text.lower()):
        path = (*at, "markers", marker)
        counts[path] = counts.get(path, 0) + 1
    for name, value in record.features.items():
        if name != TEXT:
            counts[(*at, "values", name, str(value))] = 1
    return counts


def add_counts(total: Counts, counts: Mapping[tuple[str, ...], int]) -> Counts:
    """Adds `counts` to `total`, in place."""
    for path, count in counts.items():
        total[path] = total.get(path, 0) + count
    return total


def make_ledger(source: Source, counts: Counts) -> dict[str, Any]:
    """Nests the sum of all counts; a place where nothing was counted holds 0 or {}."""
    nested: dict[str, Any] = {
        "source": {
            "task": source.task,
            "kind": source.kind,
            "path": source.path,
            "sha256": source.sha256,
        },
        "read": 0,
        "examples": dict.fromkeys(SPLITS, 0),
        "dead_letters": {},
        "repeats": 0,
        "sampled_out": 0,
        "repeats_across_splits": 0,
        "facts": {split: _no_facts() for split in SPLITS},
    }
    for path, count in sorted(counts.items()):
        place = nested
        for step in path[:-1]:
            place = place.setdefault(step, {})
        place[path[-1]] = count
    for facts in nested["facts"].values():
        facts["values"] = {
            name: values for name, values in facts["values"].items() if len(values) <= SMALL_DOMAIN
        }
    return nested


def check_balance(ledger: Mapping[str, Any]) -> None:
    """Raises AssertionError unless every record that was read is accounted for."""
    read, examples = ledger["read"], sum(ledger["examples"].values())
    dead, repeats = sum(ledger["dead_letters"].values()), ledger["repeats"]
    sampled_out = ledger["sampled_out"]
    if read != examples + dead + repeats + sampled_out:
        raise AssertionError(
            f"records went missing: {read} read, but {examples} examples + {dead} dead letters "
            f"+ {repeats} repeats + {sampled_out} sampled out"
        )


def _no_facts() -> dict[str, Any]:
    return {"records": 0, "lines": 0, "words": 0, "characters": 0, "markers": {}, "values": {}}
