"""Reproduction: a past run once more, from nothing, and its hashes beside the first ones.

    stage                 what     run           reproduction
    examples              train    5f0c21a7be04  5f0c21a7be04  equal
    transformed examples  train    9a77e2c01b52  3d10c4f6a98e  DIFFERS

Both sides are summaries (see run_summary.py and fingerprints.py), so that the first run's
files need not be there any more. Only what determines the result is taken from it:
configuration, seed and source; code, libraries and machine are those of today, and where
they are others than the run's, a warning says so.
"""

from __future__ import annotations

import dataclasses
import importlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.errors import DataError, UserError
from data.records import Source
from data.tasks import TASKS
from pipeline.code_hash import library_versions
from pipeline.orchestrators.beam import Beam
from pipeline.places import Places
from pipeline.runs.fingerprints import STAGES
from pipeline.runs.summary import code_hashes, machine
from pipeline.settings import config_from_dict

_DIGITS = 12  # of a hash that are shown


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One thing that a stage made, in the run and in its reproduction."""

    stage: str  # one of fingerprints.STAGES
    what: str
    run: str | None  # SHA-256; None: there is no such thing
    reproduction: str | None

    @property
    def equal(self) -> bool:
        return self.run == self.reproduction


def open_source_of(summary: Mapping[str, Any]) -> Source:
    """The source that a run read, after a look whether it is still the same.

    Raises:
        UserError: if it is not there any more, or its content is another one.
    """
    reader = importlib.import_module(TASKS[summary["task"]].reader)
    run_id, place = summary["run_id"], summary["source"] or "the packaged corpus"
    try:
        source: Source = reader.open_source(summary["source"])
    except DataError as error:
        raise UserError(f"{place}: run {run_id} read it, but now: {error}") from error
    if source.sha256 != summary["data_sha256"]:
        raise UserError(
            f"{place}: its content has changed since run {run_id}: expected SHA-256"
            f" {summary['data_sha256']}, got {source.sha256}. Put back what it was."
        )
    return source


def check(summary: Mapping[str, Any]) -> None:
    """Raises UserError if the run left nothing that a reproduction could be compared with."""
    run_id = summary["run_id"]
    if summary["error"]:
        raise UserError(
            f"run {run_id} ended with an error, so there is nothing to compare: name a run that"
            " went to its end; `tf-mamba runs` lists them"
        )
    if summary.get("partial"):
        raise UserError(
            f"run {run_id} was partial, on what {summary['partial']['base_run'] or 'nothing'} made:"
            " reproduce a whole run; `tf-mamba runs` lists them"
        )
    if not summary.get("hashes"):
        raise UserError(
            f"run {run_id} is of an older version, which kept no hashes to compare: run it again"
        )


def changes_since(summary: Mapping[str, Any]) -> list[str]:
    """What may explain a difference: libraries, code or a machine other than the run's."""
    changes = []
    then = summary["versions"] | summary["machine"]
    today = library_versions() | machine()
    for name in sorted(today | then):
        if then.get(name) != today.get(name):
            changes.append(f"{name} was {then.get(name, 'none')}, is {today.get(name, 'none')}")
    code = code_hashes(summary["task"])
    modules = sorted(
        name for name in code | summary["code"] if code.get(name) != summary["code"].get(name)
    )
    if modules:
        changes.append(f"code has changed: {', '.join(modules)}")
    return changes


def reproduce(
    summary: Mapping[str, Any], source: Source, keep: Path | None = None, beam: Beam | None = None
) -> dict[str, Any]:
    """Runs a run again in an empty folder and returns the new run's summary.

    Args:
        summary: of the run.
        source: as open_source_of gives it.
        keep: the folder, with all that the run leaves in it; None: a temporary one.
        beam: how Beam runs; the result does not depend on it.

    Raises:
        UserError: if `keep` is a folder with something in it, or the run's configuration is
            not one of this version.
    """
    from pipeline.orchestrators import local_runner

    config = config_from_dict(summary["config"])
    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise UserError(f"--keep {keep}: expected a new or empty folder; name another one")
        return local_runner.run(config, source, Places.below(keep), beam)
    with tempfile.TemporaryDirectory(prefix="tf-mamba-reproduce-") as folder:
        return local_runner.run(config, source, Places.below(Path(folder)), beam)


def compare(run: Mapping[str, Any], reproduction: Mapping[str, Any]) -> list[Comparison]:
    """All that two summaries have hashes of, in the order in which data flows."""
    rows = []
    for stage in STAGES:
        first = run["hashes"].get(stage) or {}
        second = reproduction["hashes"].get(stage) or {}
        rows += [
            Comparison(stage, what, first.get(what), second.get(what))
            for what in sorted(first | second)
        ]
    return rows


def table(rows: list[Comparison]) -> str:
    """The comparisons as lines of text, with a header."""
    cells = [("stage", "what", "run", "reproduction", "")]
    cells += [
        (
            row.stage,
            row.what,
            (row.run or "-")[:_DIGITS],
            (row.reproduction or "-")[:_DIGITS],
            "equal" if row.equal else "DIFFERS",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def verdict(rows: list[Comparison]) -> str:
    """One line: that all is equal, or the first stage that differs, and what of it."""
    differing = [row for row in rows if not row.equal]
    if not differing:
        return f"reproduced: all {len(rows)} hashes are equal"
    stage = differing[0].stage
    names = [row.what for row in differing if row.stage == stage]
    what = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return (
        f"NOT reproduced: {len(differing)} of {len(rows)} hashes differ, first in stage"
        f" {stage!r}: {what}"
    )
