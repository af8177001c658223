"""Counts of failures in past runs. As parameters of stages, they make a cached stage run again.

TFX caches a stage that succeeded, whatever its verdict was. A stage that takes such a count as a
parameter runs again after each new failure.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from pipeline.config import RunConfig
from pipeline.places import Places
from pipeline.runs.records import read_summaries
from serving import checksums


def _is_gone(version: Path) -> bool:
    return not version.is_dir() or bool(checksums.damage(version))


def counts(places: Places, config: RunConfig) -> dict[str, Any]:
    """The counts, by their names in RunContext.

    Pushed models of other configurations do not count: each push removes old ones. A model that
    was rolled back still exists, so a run that makes the same model does not undo the rollback.
    """
    summaries = read_summaries(places)
    as_json = json.loads(json.dumps(dataclasses.asdict(config)))
    pushed = {s["pushed_path"] for s in summaries if s["config"] == as_json}
    of_task = [s for s in summaries if s["task"] == config.task.name]
    checks = [s.get("infra_check") for s in of_task]
    return {
        "infra_checks_failed": sum(1 for check in checks if check and not check["blessed"]),
        "infra_validations_failed": [s.get("infra_validator") for s in of_task].count(False),
        "pushed_models_gone": sum(1 for path in pushed if path and _is_gone(Path(path))),
    }
