"""Prints all figures of data/README.md, counted from the packaged corpora:
`python -m data.describe`.
"""

from __future__ import annotations

import importlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from data import checks, facts, readers, task_files
from data.errors import DataError
from data.records import Record, Source
from data.task_files import TaskFile


def main() -> None:
    """Prints the figures of each built-in corpus: by the module `describe` of its package."""
    try:
        for number, name in enumerate(task_files.built_in_tasks()):
            if number:
                print()
            importlib.import_module(f"data.{name}.describe").describe()
    except DataError as error:
        sys.exit(f"data.describe: {error}")


def packaged(task: str) -> tuple[TaskFile, Source, list[Record]]:
    """A built-in task, its packaged source and all records of it."""
    file = task_files.find(task)
    source = readers.load(file.reading.reader).open_source(None, file.reading)
    return file, source, list(readers.all_records(source, file.task, file.reading))


def texts(records: Iterable[Record]) -> list[str]:
    return [str(record.features["text"]) for record in records]


def grouped(records: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return groups


def print_file(task: str, package: str, source: Source, parts: int) -> None:
    """`parts`: how many parts of the file's path are printed."""
    file = Path(source.path)
    print(f"# {task}: {package}, {'/'.join(file.parts[-parts:])}")
    print(f"bytes {file.stat().st_size:,}, sha256 {source.sha256}")


def print_sizes(records: Sequence[Record], task: TaskFile) -> dict[str, dict[str, Any]]:
    """Returns the facts of each split."""
    by_split = facts.split_facts(records, checks.markers(task.checks))
    for name, counted in (*by_split.items(), ("all", facts.total_facts({"facts": by_split}))):
        sizes = ("records", "lines", "words", "characters")
        print(f"{name}: " + ", ".join(f"{what} {counted.get(what, 0):,}" for what in sizes))
    return by_split


def rate(records: Sequence[Record], words: Sequence[str]) -> float:
    """Occurrences of the words in 1,000 words."""
    counted = facts.total_facts({"facts": facts.split_facts(records, words)})
    return facts.rate_per_thousand(counted, words)


if __name__ == "__main__":
    main()
