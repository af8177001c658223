"""Reads corpora as a task does: all that its reader yields, and the ledger of that."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

from data import checks, facts, readers, task_files
from data.records import SPLITS, DeadLetter, Record, Source
from data.task_files import TaskFile

BIBLE, IMDB = task_files.find("bible"), task_files.find("imdb")
LIMIT = 20_000  # characters


def opened(task: TaskFile, path: str | Path | None = None) -> Source:
    reader = readers.load(task.reading.reader)
    return reader.open_source(None if path is None else str(path), task.reading)


def read(
    task: TaskFile, path: str | Path | None = None, limit: int = LIMIT
) -> list[Record | DeadLetter]:
    """All that the reader yields, shard by shard."""
    source, reader = opened(task, path), readers.load(task.reading.reader)
    return [
        item
        for shard in source.shards
        for item in reader.read_shard(source, shard, task.task, task.reading, limit)
    ]


def records(task: TaskFile, path: str | Path | None = None, limit: int = LIMIT) -> list[Record]:
    return [item for item in read(task, path, limit) if isinstance(item, Record)]


def facts_of(task: TaskFile, of_records: list[Record], crossing: int = 0) -> dict[str, Any]:
    """The part of a ledger that the checks read."""
    return {
        "facts": facts.split_facts(of_records, checks.markers(task.checks)),
        "repeats_across_splits": crossing,
    }


def findings(
    task: TaskFile, source: Source, of_records: list[Record], crossing: int = 0
) -> list[str]:
    """What all checks of the task find in a corpus of these records."""
    ledger = facts_of(task, of_records, crossing)
    return [
        *checks.findings(task.task.classes, task.checks, ledger),
        *readers.findings(task.reading.reader, source, ledger),
    ]


def ledger_of(task: TaskFile, path: str | Path) -> dict[str, Any]:
    """The ledger of an ingest of the whole source, counted in one loop in memory."""
    items = read(task, path)
    usable = [item for item in items if isinstance(item, Record)]
    kept = facts.without_repeats(usable)
    written = Counter(record.split for record in kept)
    source = dataclasses.asdict(opened(task, path))
    del source["shards"]
    return {
        "source": source,
        "read": len(items),
        "examples": {split: written[split] for split in SPLITS},
        "dead_letters": dict(Counter(i.reason for i in items if isinstance(i, DeadLetter))),
        "repeats": len(usable) - len(kept),
        "sampled_out": 0,
        **facts_of(task, kept),
    }
