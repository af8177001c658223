"""Which modules each stage runs, and the hashes of them.

The one table behind the stages' cache keys, the summary's `code`, `runs diff` and `reproduce`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import data
from data.tasks import Task
from pipeline.code_hash import Code

_METRICS = {
    "sentiment": ("pipeline.evaluation.calibration", "pipeline.evaluation.intervals"),
    "next_token": ("pipeline.evaluation.next_token_metrics", "pipeline.evaluation.intervals"),
}


def stage_modules(task: Task) -> dict[str, tuple[str, ...]]:
    """The modules of each stage that TFX, Beam or a subprocess loads by name.

    What these import follows from their code. A stage of the pipeline without a row is TFX's own.
    """
    return {
        "TextExampleGen": (
            "components.text_example_gen.executor",
            "components.artifacts",
            task.reader,
        ),
        "ReviewedSchema": ("components.reviewed_schema",),
        "DataGate": ("components.data_gate", task.reader),
        "Transform": ("pipeline.transform.preprocessing",),
        "Pretrainer": ("pipeline.training.trainer",),
        "Trainer": ("pipeline.training.trainer",),
        "Tuner": ("pipeline.tuning.tuner",),
        "Evaluator": _METRICS[task.head],
        "InfraCheck": (
            "components.infra_check.component",
            # Run by path in a process of its own, so that no import names them.
            "components.infra_check.probe",
            "components.infra_check.graph_rules",
            "components.infra_check.served_requests",
        ),
        "InfraValidator": ("components.infra_validator",),
        "ModelCard": ("pipeline.report.model_card",),
        "Pusher": ("components.atomic_push",),
        "RunReport": ("pipeline.report.component",),
    }


def stage_hashes(task: Task) -> dict[str, str]:
    """SHA-256 of the code of each stage: the part of its cache key that stands for its code.

    Of data/tasks.py only the task's own entry counts, and of that what reaches no stage as a
    parameter.

    Raises:
        UserError: if a module has no source file.
    """
    code = Code()
    entry = dataclasses.asdict(task)
    for name in ("reader", "schema", "slices"):  # parameters
        del entry[name]
    values = {"data.tasks": json.dumps(entry, sort_keys=True)}
    return {stage: code.sha256(names, values) for stage, names in stage_modules(task).items()}


def module_hashes(task: Task) -> dict[str, str]:
    """SHA-256 of each module that a stage runs, and of the schema: what a summary keeps.

    Raises:
        UserError: if a module has no source file.
    """
    schema = schema_file(task)
    names = {name for modules in stage_modules(task).values() for name in modules}
    return {
        f"data/schema/{schema.name}": hashlib.sha256(schema.read_bytes()).hexdigest(),
        **Code().module_hashes(sorted(names)),
    }


def schema_file(task: Task) -> Path:
    """The task's reviewed schema."""
    return Path(data.__path__[0]) / "schema" / task.schema
