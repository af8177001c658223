"""`tf-mamba reproduce`: a past run again, from nothing, compared stage by stage."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run", help="a run's id, or `latest`")
    parser.add_argument("--task", choices=shared.task_names(), help="of which `latest` is meant")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="run there and keep it (default: a temporary one)",
    )
    shared.add_beam(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the table of hashes; returns 1 if one differs."""
    import_tensorflow(options.debug)
    from pipeline.runs import records as runs
    from pipeline.training.workers import TF_CONFIG

    summary = runs.find(shared.places(options), options.run, options.task)
    from pipeline.runs import reproduction  # imports TFX: not before the run is known

    reproduction.check(summary)
    source = reproduction.open_source_of(summary)
    for change in reproduction.changes_since(summary):
        print(f"warning: since that run, {change}; results may differ", file=sys.stderr)
    print(f"{summary['task']} run {summary['run_id']} again, from nothing", file=sys.stderr)
    os.environ.pop(TF_CONFIG, None)  # one process gives the same bits as several
    again = reproduction.reproduce(summary, source, options.keep, shared.beam(options))
    rows = reproduction.compare(summary, again)
    print(f"{reproduction.table(rows)}\n{reproduction.verdict(rows)}")
    return 0 if all(row.equal for row in rows) else 1
