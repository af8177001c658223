"""Whether a model may be pushed: by the Evaluator, InfraCheck and, if it ran, InfraValidator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NOT_VALIDATED = "infra validator: TensorFlow Serving in docker did not load it, or did not answer"


@dataclass(frozen=True)
class Verdict:
    """`blessed` is None if the Evaluator or InfraCheck did not run."""

    blessed: bool | None
    findings: tuple[str, ...]  # why it is not blessed


def judge(
    evaluation: Mapping[str, Any],
    infra_check: Mapping[str, Any] | None,
    infra_validator: bool | None,
    most: int | None = None,
) -> Verdict:
    """Judges a model by the stages that blessed it or did not.

    Args:
        evaluation: as `pipeline.evaluation.summary.collect` gives it.
        infra_check: InfraCheck's report; None: it did not run.
        infra_validator: whether InfraValidator blessed the model; None: it did not run.
        most: how many of InfraCheck's findings to list; None: all.
    """
    blessed = None
    if evaluation["metrics"] is not None and infra_check is not None:
        blessed = evaluation["blessed"] and infra_check["blessed"] and infra_validator is not False
    found = [f"infra check: {finding}" for finding in (infra_check or {}).get("findings", ())]
    if most is not None and len(found) > most:
        found[most:] = [f"infra check: {len(found) - most} more findings"]
    if infra_validator is False:
        found.append(_NOT_VALIDATED)
    return Verdict(blessed, (*evaluation["failed_thresholds"], *found))
