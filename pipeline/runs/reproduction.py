"""Checks before a past run is reproduced, and the comparison of its hashes afterwards.

    stage                 what     run           reproduction
    examples              train    5f0c21a7be04  5f0c21a7be04  equal
    transformed examples  train    9a77e2c01b52  3d10c4f6a98e  DIFFERS

Both sides are summaries (see runs/summary.py and fingerprints.py), so the files of the first run
need not exist any more. The reproduction takes configuration, seed and source from the first
run. It uses today's code, libraries and machine, and warns if they have changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from data import readers
from data.errors import DataError, UserError
from data.records import Source
from pipeline.code_hash import library_versions
from pipeline.runs.fingerprints import STAGES
from pipeline.runs.summary import machine
from pipeline.settings import config_from_dict
from pipeline.stage_code import module_hashes

_DIGITS = 12  # of a hash, in the table


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One hash of a stage, in the run and in its reproduction."""

    stage: str  # one of fingerprints.STAGES
    what: str
    run: str | None  # SHA-256; None: that run does not have it
    reproduction: str | None

    @property
    def equal(self) -> bool:
        return self.run == self.reproduction


def open_source_of(summary: Mapping[str, Any]) -> Source:
    """Opens the source that a run read.

    Raises:
        UserError: if it no longer exists, or its content has changed.
    """
    reading = config_from_dict(summary["config"]).reading
    run_id, place = summary["run_id"], summary["source"] or "the packaged corpus"
    try:
        source: Source = readers.load(reading.reader).open_source(summary["source"], reading)
    except DataError as error:
        raise UserError(f"{place}: run {run_id} read it, but not today: {error}") from error
    if source.sha256 != summary["data_sha256"]:
        raise UserError(
            f"{place}: its content has changed since run {run_id}: expected SHA-256"
            f" {summary['data_sha256']}, got {source.sha256}; restore the former content"
        )
    return source


def check(summary: Mapping[str, Any]) -> None:
    """Raises UserError if the run has no hashes to compare, or was only partial."""
    run_id = summary["run_id"]
    if summary["error"]:
        raise UserError(
            f"run {run_id} ended with an error, so there is nothing to compare; choose a run that"
            " succeeded: `tf-mamba runs` lists them"
        )
    if summary.get("partial"):
        raise UserError(
            f"run {run_id} was partial and ran only {', '.join(summary['partial']['stages'])};"
            " choose a whole run: `tf-mamba runs` lists them"
        )
    if not summary.get("hashes"):
        raise UserError(
            f"run {run_id} is from an older version, which kept no hashes to compare; run it again"
        )


def changes_since(summary: Mapping[str, Any]) -> list[str]:
    """What has changed since the run and may explain a difference: libraries, machine, code."""
    changes = []
    then = summary["versions"] | summary["machine"]
    today = library_versions() | machine()
    for name in sorted(today | then):
        if then.get(name) != today.get(name):
            changes.append(f"{name} was {then.get(name, 'none')}, is {today.get(name, 'none')}")
    config = config_from_dict(summary["config"])
    code = module_hashes(config.task.kind, config.reading.reader)
    modules = sorted(
        name for name in code | summary["code"] if code.get(name) != summary["code"].get(name)
    )
    if modules:
        changes.append(f"code has changed: {', '.join(modules)}")
    return changes


def compare(run: Mapping[str, Any], reproduction: Mapping[str, Any]) -> list[Comparison]:
    """Compares all hashes of two summaries, in the order of the stages."""
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
    """The comparisons as a table of text."""
    cells = [
        (
            row.stage,
            row.what,
            (row.run or "-")[:_DIGITS],
            (row.reproduction or "-")[:_DIGITS],
            "equal" if row.equal else "DIFFERS",
        )
        for row in rows
    ]
    headers = ("stage", "what", "run", "reproduction", "")
    return tabulate(cells, headers, tablefmt="plain", disable_numparse=True)


def verdict(rows: list[Comparison]) -> str:
    """One line: all hashes are equal, or the first stage with differences and what differs."""
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
