"""Which modules each stage runs, and the hashes of them.

The one table behind the stages' cache keys, the summary's `code`, `runs diff` and `reproduce`.
"""

from __future__ import annotations

from data import readers
from data.tasks import Kind
from pipeline.code_hash import Code

_METRICS: dict[Kind, tuple[str, ...]] = {
    "classification": ("pipeline.evaluation.classification_metrics",),
    "next-token": ("pipeline.evaluation.next_token_metrics",),
}


def stage_modules(kind: Kind, reader: str) -> dict[str, tuple[str, ...]]:
    """The modules of each stage that TFX, Beam or a subprocess loads by name.

    What these import follows from their code. A stage of the pipeline without a row is TFX's own.
    """
    return {
        "TextExampleGen": (
            "components.text_example_gen.executor",
            "components.artifacts",
            readers.module_name(reader),
        ),
        "ReviewedSchema": ("components.reviewed_schema",),
        "DataGate": ("components.data_gate", readers.module_name(reader)),
        "Transform": ("pipeline.transform.preprocessing",),
        "Pretrainer": ("pipeline.training.trainer",),
        "Trainer": ("pipeline.training.trainer",),
        "Tuner": ("pipeline.tuning.tuner",),
        "Evaluator": _METRICS[kind],
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


def stage_hashes(kind: Kind, reader: str) -> dict[str, str]:
    """SHA-256 of the code of each stage: the part of its cache key that stands for its code.

    Args:
        kind: of the task.
        reader: of the task, see data/readers.py.

    Raises:
        UserError: if a module has no source file, or there is no such reader.
    """
    code = Code()
    return {stage: code.sha256(names) for stage, names in stage_modules(kind, reader).items()}


def module_hashes(kind: Kind, reader: str) -> dict[str, str]:
    """SHA-256 of each module that a stage runs, for a summary; otherwise as `stage_hashes`."""
    names = {name for modules in stage_modules(kind, reader).values() for name in modules}
    return Code().module_hashes(sorted(names))
