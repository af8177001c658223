"""Finds the reader of a task: a module that turns a source into records.

    open_source(path: str | None, reading: Reading) -> Source
    read_shard(source, shard, task: Task, reading: Reading, max_characters)
        -> Iterator[Record | DeadLetter]
    check_corpus(source, ledger) -> list[str]      optional: findings that stop the run

`data.generic.reader` is one. A package may offer others as entry points of the group GROUP, whose
values are modules; `reading.reader` in task.toml has the entry point's or the module's name.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from data.errors import UserError
from data.records import Record, Source
from data.tasks import Reading, Task

GROUP = "tf_mamba.readers"
_FUNCTIONS = ("open_source", "read_shard")


def load(name: str) -> ModuleType:
    """The reader's module.

    Raises:
        UserError: if there is no such module, it cannot be imported, or it lacks a function.
    """
    module_of = module_name(name)
    try:
        module = importlib.import_module(module_of)
    except Exception as error:
        raise UserError(
            f"reading.reader: {name!r} cannot be imported: {error}; expected a module, or an entry"
            f" point of the group {GROUP}"
        ) from error
    if missing := [function for function in _FUNCTIONS if not hasattr(module, function)]:
        raise UserError(f"reading.reader: the module {module_of} has no {' and no '.join(missing)}")
    return module


def module_name(name: str) -> str:
    """The name of the reader's module, which counts in cache keys."""
    for point in importlib.metadata.entry_points(group=GROUP):
        if point.name == name:
            return point.module
    return name


def findings(name: str, source: Source, ledger: Mapping[str, Any]) -> list[str]:
    """What the reader's own `check_corpus` finds, one line each; nothing if it has none."""
    check_corpus = getattr(load(name), "check_corpus", None)
    return check_corpus(source, ledger) if check_corpus else []


def all_records(
    source: Source, task: Task, reading: Reading, max_characters: int = sys.maxsize
) -> Iterator[Record]:
    """Yields every usable record of a source."""
    reader = load(reading.reader)
    for shard in source.shards:
        for item in reader.read_shard(source, shard, task, reading, max_characters):
            if isinstance(item, Record):
                yield item
