"""`tf-mamba reproduce`: runs a past run again in an empty folder and compares the hashes."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow

if TYPE_CHECKING:  # slow to import
    from data.records import Source
    from pipeline.orchestrators.beam import Beam


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run", help="a run's id, or `latest`")
    parser.add_argument("--task", help="the task of `latest`")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="run in this folder and keep it (default: a temporary one)",
    )
    shared.add_beam(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the table of hashes; returns 1 if any hash differs, else 0."""
    import_tensorflow(options.debug)
    from pipeline.runs import records, reproduction
    from pipeline.training.workers import TF_CONFIG

    summary = records.find(shared.places(options), options.run, options.task)
    reproduction.check(summary)
    source = reproduction.open_source_of(summary)
    for change in reproduction.changes_since(summary):
        print(f"warning: since that run, {change}; results may differ", file=sys.stderr)
    print(
        f"running {summary['task']} run {summary['run_id']} again, from an empty folder",
        file=sys.stderr,
    )
    os.environ.pop(TF_CONFIG, None)  # one process gives the same result as several
    again = rerun(summary, source, options.keep, shared.beam(options))
    rows = reproduction.compare(summary, again)
    print(f"{reproduction.table(rows)}\n{reproduction.verdict(rows)}")
    return 0 if all(row.equal for row in rows) else 1


def rerun(
    summary: Mapping[str, Any], source: Source, keep: Path | None = None, beam: Beam | None = None
) -> dict[str, Any]:
    """Runs a past run again in an empty folder; returns the new run's summary.

    Args:
        summary: of the past run.
        source: what it read, opened.
        keep: the folder, which stays; None: a temporary one.
        beam: how Beam runs; the result does not depend on it.

    Raises:
        UserError: if `keep` is not empty, or this version cannot read the run's configuration.
    """
    from pipeline.orchestrators import local_runner
    from pipeline.places import Places
    from pipeline.settings import config_from_dict

    config = config_from_dict(summary["config"])
    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise UserError(f"--keep {keep}: expected a new or empty folder; name another one")
        return local_runner.run(config, source, Places.below(keep), beam)
    with tempfile.TemporaryDirectory(prefix="tf-mamba-reproduce-") as folder:
        return local_runner.run(config, source, Places.below(Path(folder)), beam)
