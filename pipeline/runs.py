"""The folder of runs: where each run's files go, and reading them back.

runs/metadata.sqlite                 ML Metadata of all runs
runs/artifacts/<task>/               what the stages made
runs/checkpoints/<task>/<key>/       of trainings, see training_checkpoints.py
runs/tuning/<task>/<key>/            of searches for better settings, see trials.py
runs/<task>/<run id>/summary.json    see run_summary.py
runs/<task>/<run id>/report.html     the page to look at, see run_page.py
runs/<task>/latest                   link to the last run that went to its end
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import RunConfig
from pipeline.errors import UserError

_SUMMARY = "summary.json"
_PAGE = "report.html"


@dataclass(frozen=True)
class Places:
    """Where runs keep their files."""

    runs: Path
    serving_models: Path  # pushed models, <task>/<version>

    @property
    def metadata(self) -> Path:
        return self.runs / "metadata.sqlite"

    def artifacts(self, task: str) -> Path:
        return self.runs / "artifacts" / task

    def checkpoints(self, task: str) -> Path:
        return self.runs / "checkpoints" / task

    def tuning(self, task: str) -> Path:
        return self.runs / "tuning" / task

    def run(self, task: str, run_id: str) -> Path:
        return self.runs / task / run_id


def write_summary(summary: dict[str, Any], places: Places) -> Path:
    """Writes a run's summary, whole or not at all; returns its path."""
    path = places.run(summary["task"], summary["run_id"]) / _SUMMARY
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{_SUMMARY}")
    unfinished.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    unfinished.replace(path)
    return path


def page_file(runs: Path, summary: dict[str, Any]) -> Path:
    """Where the page of a run is, or goes."""
    return runs / summary["task"] / summary["run_id"] / _PAGE


def link_latest(places: Places, task: str, run_id: str) -> None:
    """Points runs/<task>/latest at a run; never leaves it missing."""
    link = places.run(task, "latest")
    unfinished = link.with_name(f".latest-{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(run_id)
    unfinished.replace(link)


def read_summaries(runs: Path) -> list[dict[str, Any]]:
    """The summaries of all runs, the newest last."""
    files = [f for f in runs.glob(f"*/*/{_SUMMARY}") if not f.parent.is_symlink()]
    return sorted((json.loads(f.read_text("utf-8")) for f in files), key=lambda s: s["run_id"])


def find(runs: Path, run: str, task: str | None = None) -> dict[str, Any]:
    """The summary of a run.

    Args:
        run: its id, or `latest` for the newest.
        task: only runs of it count; None: of all tasks.

    Raises:
        UserError: if there is none.
    """
    wanted = [
        summary
        for summary in read_summaries(runs)
        if run in (summary["run_id"], "latest") and task in (summary["task"], None)
    ]
    if not wanted:
        of_task = f" of {task}" if task else ""
        raise UserError(f"run {run!r}{of_task}: there is none; `tf-mamba runs` lists them")
    return wanted[-1]


def pushed_models_gone(places: Places, config: RunConfig) -> int:
    """How many of the models that runs of this configuration pushed are no longer there.

    Models of other configurations go by themselves, as a push keeps the newest only. Where one
    has rolled back from a model, it is still there: a run that makes no other one does not undo
    the rollback.
    """
    of_run = json.loads(json.dumps(dataclasses.asdict(config)))
    paths = {s["pushed_path"] for s in read_summaries(places.runs) if s["config"] == of_run}
    return sum(1 for path in paths if path and not Path(path).is_dir())


def infra_checks_failed(places: Places, task: str) -> int:
    """In how many runs of the task the export failed InfraCheck."""
    checks = [s.get("infra_check") for s in read_summaries(places.runs) if s["task"] == task]
    return sum(1 for check in checks if check and not check["blessed"])


def one_line(summary: dict[str, Any]) -> str:
    """A run as a row: task, id, seconds, verdict, metrics."""
    verdict = "blessed" if summary["blessed"] else "failed" if summary["error"] else "not blessed"
    metrics = (summary["metrics"] or {}).get("eval", {})
    figures = "  ".join(f"{k} {v:.4g}" for k, v in metrics.items() if isinstance(v, float))
    task, run_id, seconds = summary["task"], summary["run_id"], sum(summary["seconds"].values())
    return f"{task:<6} {run_id:<30} {seconds:6.0f} s  {verdict:<11}  {figures}"
