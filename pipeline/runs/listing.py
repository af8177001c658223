"""The table that `tf-mamba runs` prints."""

from __future__ import annotations

from typing import Any

import ml_metadata as mlmd
from tabulate import tabulate

from pipeline.places import Places
from pipeline.runs import lock as run_lock
from pipeline.runs import records
from pipeline.runs import store as metadata


def table(places: Places) -> str:
    """All runs, oldest first: task, run id, seconds, verdict, metrics."""
    store = metadata.open_store(places)
    rows = [_row(run, store, places) for run in records.runs_in(store)] if store else []
    align = ("left", "left", "right")
    return tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=align)


def _row(run: records.PastRun, store: mlmd.MetadataStore, places: Places) -> tuple[str, ...]:
    if run.summary:
        return _ended(run.summary)
    executions = store.get_executions_by_context(run.context)
    succeeded = sum(each.last_known_state in records.SUCCEEDED for each in executions)
    times = [each.last_update_time_since_epoch for each in executions]
    seconds = (max(times, default=run.started) - run.started) / 1000
    running = run_lock.holder(places.runs, run.task) == run.run_id
    verdict = "running" if running else "search" if run.is_search else "unfinished"
    return run.task, run.run_id, f"{seconds:.0f} s", verdict, f"{succeeded} stages ended"


def _ended(summary: dict[str, Any]) -> tuple[str, ...]:
    verdict = "failed" if summary["error"] else "blessed" if summary["blessed"] else "not blessed"
    if summary.get("partial") and verdict != "failed":
        verdict = "partial" if summary["blessed"] is None else f"{verdict}, partial"
    metrics = (summary["metrics"] or {}).get("eval", {})
    figures = "  ".join(f"{k} {v:.4g}" for k, v in metrics.items() if isinstance(v, float))
    seconds = f"{sum(summary['seconds'].values()):.0f} s"
    return summary["task"], summary["run_id"], seconds, verdict, figures
