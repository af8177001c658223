"""The page of a run in its folder, runs/<task>/<run id>/report.html, made when the run has ended.

RunReport makes the same page as an artifact, before times and lineage are known; what it
measured is taken from there. A page is no part of a run's result: where it cannot be made, the
run stands, and a line on standard error says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pipeline.places import Places
from pipeline.report import page
from pipeline.report.inputs import MEASUREMENTS_FILE, Run
from pipeline.report.measurements import measure as measurements
from pipeline.runs import stages as run_stages
from pipeline.runs import store as metadata
from pipeline.runs.files import page_file

_PAGE = "RunReport.page_file"


def write(summary: dict[str, Any], places: Places) -> Path:
    """Makes the page of a run that has a summary, whole or not at all; returns its path.

    Sections that fail say so in the page and on standard error.
    """
    # As it reads from its file, so that a page made later is the same: JSON has no tuples.
    run = _read(json.loads(json.dumps(summary)), places)
    known = _measured_before(run)
    made = page.render(run.with_measurements(measurements.measure(run, known)))
    for failure in made.failures:
        print(f"warning: the run's page: {failure}", file=sys.stderr)
    path = page_file(places, summary)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(made.html, "utf-8")
    unfinished.replace(path)
    return path


def try_to_write(summary: dict[str, Any], places: Places) -> None:
    """Makes the page at a run's end, which a failure of it must neither hide nor change."""
    try:
        write(summary, places)
    except Exception as error:
        again = f"`tf-mamba report {summary['run_id']}` tries again"
        what = f"{type(error).__name__}: {error}"
        print(f"warning: the run's page could not be made: {what}; {again}", file=sys.stderr)


def _read(summary: dict[str, Any], places: Places) -> Run:
    store = metadata.open_store(places, create=True)
    assert store is not None
    stages = run_stages.read_stages(store, summary["run_id"])
    return Run(
        config=summary["config"],
        versions=summary["versions"],
        artifacts=run_stages.artifacts(stages),
        pushed=summary["pushed_path"],
        run_id=summary["run_id"],
        machine=summary["machine"],
        code=summary["code"],
        error=summary["error"],
        stages=stages,
        last_statistics=run_stages.last_statistics(store, stages),
    )


def _measured_before(run: Run) -> dict[str, Any]:
    if not run.has(_PAGE):
        return {}
    file = Path(run.artifacts[_PAGE]).with_name(MEASUREMENTS_FILE)
    return json.loads(file.read_text("utf-8")) if file.exists() else {}
