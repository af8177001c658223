"""`tf-mamba clean`: removes files that no recent run and no pushed model needs."""

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
        help="keep the newest N runs of each task (default: 5)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only list what would be removed")
    parser.add_argument("--yes", action="store_true", help="remove without asking")


def run(options: argparse.Namespace) -> int:
    """Lists the files, asks and removes them; returns the exit code."""
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
            for task in tasks:  # so that no run loses what it just found in the cache
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
        if not (options.yes or _confirmed()):
            print("nothing was removed")
            return 1
        cleaning.remove(places, found)
        print("removed")
    return 0


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise UserError("clean: nobody to ask, as this is no terminal; use --yes or --dry-run")
    return input("Remove it? [y/N] ").strip().lower() in ("y", "yes")
