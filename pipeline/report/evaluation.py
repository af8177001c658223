"""A model's metrics and verdict, from the Evaluator, InfraCheck and InfraValidator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.evaluation import summary as evaluation_summary
from pipeline.evaluation.verdict import Verdict, judge
from pipeline.report.inputs import Run

EVALUATION = "Evaluator.evaluation"
_INFRA_CHECK = "InfraCheck.blessing"
_INFRA_VALIDATOR = "InfraValidator.blessing"
_DIFFERENCE = "_diff"  # from the last pushed model

Bounds = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Evaluation:
    """Metrics of split eval, and the verdict.

    Attributes:
        values: of each metric.
        last: the last pushed model's values of the same metrics; empty if there is none.
        intervals: lower and upper bound of each metric, if there are enough texts.
        classes, class_intervals: values and intervals by class; empty for next-token models.
        slices, slice_intervals: values and intervals by slice.
        reliability: bins of confidence, see pipeline/evaluation/calibration.py; empty for
            next-token models.
        not_checked: what InfraCheck could not check here, and why.
    """

    values: Mapping[str, float]
    last: Mapping[str, float]
    intervals: Bounds
    classes: Mapping[str, Mapping[str, float]]
    class_intervals: Mapping[str, Bounds]
    slices: Mapping[str, Mapping[str, float]]
    slice_intervals: Mapping[str, Bounds]
    reliability: Sequence[Mapping[str, float]]
    verdict: Verdict
    not_checked: Sequence[str]


def read(run: Run) -> Evaluation:
    """Reads the artifacts of a run whose model was evaluated."""
    found = evaluation_summary.collect(run.artifacts[EVALUATION])
    split = found["metrics"]["eval"]
    numbers = {name: value for name, value in split.items() if isinstance(value, float)}
    infra_check = run.read_json(_INFRA_CHECK, "report.json") if run.has(_INFRA_CHECK) else None
    infra_validator = None
    if run.has(_INFRA_VALIDATOR):
        infra_validator = run.file(_INFRA_VALIDATOR, "INFRA_BLESSED").exists()
    return Evaluation(
        values=_own(numbers),
        last={
            name: value - numbers[name + _DIFFERENCE]
            for name, value in numbers.items()
            if name + _DIFFERENCE in numbers
        },
        intervals=split["intervals"],
        classes=split.get("classes", {}),
        class_intervals=split.get("class_intervals", {}),
        slices={where: _own(values) for where, values in split["slices"].items()},
        slice_intervals=split["slice_intervals"],
        reliability=split.get("reliability", ()),
        verdict=judge(found, infra_check, infra_validator),
        not_checked=(infra_check or {}).get("not_checked", ()),
    )


def _own(numbers: Mapping[str, float]) -> dict[str, float]:
    names = sorted(name for name in numbers if not name.endswith(_DIFFERENCE))
    return {name: numbers[name] for name in names}
