"""`tf-mamba tasks`: lists the tasks, built-in and one's own."""

from __future__ import annotations

import argparse

from tabulate import tabulate

from data import task_files
from data.errors import UserError
from pipeline.commands import options as shared

_MOST_CLASSES = 4  # named in the table


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command has no options of its own."""


def run(options: argparse.Namespace) -> int:
    """Prints a table; a task whose files have a fault has the fault instead."""
    from pipeline import presets

    folder = shared.tasks_folder(options)
    rows = []
    for places in (task_files.built_in_tasks(), task_files.own_tasks(folder)):
        built_in = places.keys() == task_files.built_in_tasks().keys()
        for name, place in places.items():
            where = "built-in" if built_in else str(place)
            try:
                file = task_files.read(place)
                rows.append(
                    [
                        name,
                        file.task.kind,
                        _told(file.task.classes),
                        ", ".join(presets.names(file)),
                        where,
                    ]
                )
            except UserError as error:
                rows.append([name, "cannot be read", "", str(error), where])
    print(
        tabulate(rows, headers=["task", "kind", "classes", "presets", "folder"], tablefmt="plain")
    )
    return 0


def _told(classes: tuple[str, ...]) -> str:
    if not classes:
        return "-"
    more = ", ..." if len(classes) > _MOST_CLASSES else ""
    return f"{len(classes)}: {', '.join(classes[:_MOST_CLASSES])}{more}"
