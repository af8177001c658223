"""Writes a run's page, runs/<task>/<run id>/report.html, after the run has ended.

RunReport makes the same page as an artifact, before times and lineage are known; this page reuses
its measurements. A page is not part of the run's result: if it cannot be made, the run does not
fail, and a warning goes to standard error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from data.files import write_whole
from pipeline.places import Places
from pipeline.report import page
from pipeline.report.inputs import MEASUREMENTS_FILE, Run
from pipeline.report.measurements import measure as measurements
from pipeline.runs import stages as run_stages
from pipeline.runs import store as metadata
from pipeline.runs.files import page_file

_PAGE = "RunReport.page_file"


def write(summary: dict[str, Any], places: Places) -> Path:
    """Writes the page of a run atomically; returns its path.

    A section that fails says so in the page and on standard error.
    """
    # Through JSON, which turns tuples into lists: a page made later reads its summary from JSON.
    run = _read(json.loads(json.dumps(summary)), places)
    known = _measurements_of_run_report(run)
    made = page.render(run.with_measurements(measurements.measure(run, known)))
    for failure in made.failures:
        print(f"warning: the run's page: {failure}", file=sys.stderr)
    path = page_file(places, summary)
    write_whole(path, made.html)
    return path


def try_to_write(summary: dict[str, Any], places: Places) -> None:
    """Writes the page; a failure is only a warning, as it must not change the run's outcome."""
    try:
        write(summary, places)
    except Exception as error:
        again = f"to try again: `tf-mamba report {summary['run_id']}`"
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


def _measurements_of_run_report(run: Run) -> dict[str, Any]:
    if not run.has(_PAGE):
        return {}
    file = Path(run.artifacts[_PAGE]).with_name(MEASUREMENTS_FILE)
    return json.loads(file.read_text("utf-8")) if file.exists() else {}
