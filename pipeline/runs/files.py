"""A run's folder, runs/<task>/<run id>/: summary.json and report.html; and the link `latest`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from data import plain_json
from data.files import write_whole
from pipeline.places import Places
from pipeline.runs.records import record_summary


def write_summary(summary: dict[str, Any], places: Places) -> Path:
    """Writes a run's summary to ML Metadata and, atomically, to summary.json; returns its path."""
    record_summary(summary, places)
    path = places.run(summary["task"], summary["run_id"]) / "summary.json"
    write_whole(path, plain_json.dumps(summary, indent=2) + "\n")
    return path


def page_file(places: Places, summary: dict[str, Any]) -> Path:
    """The path of a run's page, which may not exist yet."""
    return places.run(summary["task"], summary["run_id"]) / "report.html"


def link_latest(places: Places, task: str, run_id: str) -> None:
    """Points runs/<task>/latest at a run; the link is replaced atomically."""
    link = places.run(task, "latest")
    unfinished = link.with_name(f".latest-{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(run_id)
    unfinished.replace(link)
