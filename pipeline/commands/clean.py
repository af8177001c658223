"""`tf-mamba clean`: says what no run and no model refers to, asks, and removes it."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "--keep",
        type=shared.positive,
        default=5,
        metavar="N",
        help="the newest N runs of each task stay (default: 5)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what and how much")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace) -> int:
    """Removes, or says only what it would remove; returns the exit code."""
    import_tensorflow(options.debug)
    from pipeline.runs import cleaning
    from pipeline.runs import lock as run_lock

    places = shared.places(options)
    tasks = cleaning.tasks_with_runs(places)
    if not tasks:
        print("nothing to remove: there are no runs")
        return 0
    with ExitStack() as locks:
        if not options.dry_run:
            for task in tasks:  # a run must not lose what it has just found in the cache
                locks.enter_context(run_lock.hold(places.runs, task, "`tf-mamba clean`"))
        found = cleaning.plan(places, tasks, options.keep)
        if not found.removals and not found.artifacts:
            print("nothing to remove")
            return 0
        for removal in found.removals:
            print(removal.path)
        print(found.as_text())
        if options.dry_run:
            return 0
        if not (options.yes or _agreed()):
            print("nothing was removed")
            return 1
        cleaning.remove(places, found)
        print("removed")
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UserError("clean: nobody to ask whether to remove this; say --yes, or --dry-run")
    return input("Remove it? [y/N] ").strip().lower() in ("y", "yes")
