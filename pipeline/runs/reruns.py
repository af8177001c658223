"""Counts of failures in past runs. As parameters of stages, they make a cached stage run again.

TFX caches a stage that succeeded, whatever its verdict was. A stage that takes such a count as a
parameter runs again after each new failure.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from pipeline.config import RunConfig
from pipeline.places import Places
from pipeline.runs.records import read_summaries


def pushed_models_gone(places: Places, config: RunConfig) -> int:
    """How many of the models that runs of this configuration pushed no longer exist.

    Models of other configurations do not count: each push removes old ones. A model that was
    rolled back still exists, so a run that makes the same model does not undo the rollback.
    """
    as_json = json.loads(json.dumps(dataclasses.asdict(config)))
    paths = {s["pushed_path"] for s in read_summaries(places) if s["config"] == as_json}
    return sum(1 for path in paths if path and not Path(path).is_dir())


def infra_checks_failed(places: Places, task: str) -> int:
    """In how many runs of the task the export failed InfraCheck."""
    checks = [s.get("infra_check") for s in read_summaries(places) if s["task"] == task]
    return sum(1 for check in checks if check and not check["blessed"])


def infra_validations_failed(places: Places, task: str) -> int:
    """In how many runs of the task the export failed InfraValidator."""
    verdicts = [s.get("infra_validator") for s in read_summaries(places) if s["task"] == task]
    return verdicts.count(False)
