"""Reads an Evaluator's results: metrics of the model and of the last blessed one, thresholds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from components.run_report.run import Run

ALL = "all"
EVALUATION = "Evaluator.evaluation"


@dataclass(frozen=True)
class Metric:
    """A metric on a slice; `interval` where one was computed, `last` of the last blessed model."""

    value: float
    interval: tuple[float, float] | None = None
    last: float | None = None


Metrics = dict[str, dict[str, Metric]]  # slice -> name -> metric; ALL first


def read_metrics(run: Run) -> Metrics:
    """All metrics that are single numbers."""
    import tensorflow_model_analysis as tfma

    found: dict[str, dict[str, dict[str, Any]]] = {}
    for record in tfma.load_metrics(run.artifacts[EVALUATION]):
        where = " ".join(_slice(key) for key in record.slice_key.single_slice_keys) or ALL
        for entry in record.metric_keys_and_values:
            if entry.key.is_diff:
                continue
            whose = "last" if entry.key.model_name == "baseline" else "own"
            value = _value(entry)
            if value is not None:
                found.setdefault(where, {}).setdefault(entry.key.name, {})[whose] = value
    slices = sorted(found, key=lambda where: (where != ALL, where))
    return {
        where: {
            name: Metric(of["own"][0], of["own"][1], of["last"][0] if "last" in of else None)
            for name, of in sorted(found[where].items())
            if "own" in of
        }
        for where in slices
    }


def missed_thresholds(run: Run) -> list[str]:
    """A line for each threshold that the model missed."""
    import tensorflow_model_analysis as tfma

    validation = tfma.load_validation_result(run.artifacts[EVALUATION])
    lines = []
    for in_slice in validation.metric_validations_per_slice:
        for failure in in_slice.failures:
            bounds = failure.metric_threshold.value_threshold
            value = failure.metric_value.double_value.value
            expected = [
                f"{words} {bound.value:g}"
                for words, name, bound in (
                    ("at least", "lower_bound", bounds.lower_bound),
                    ("at most", "upper_bound", bounds.upper_bound),
                )
                if bounds.HasField(name)
            ]
            if failure.metric_key.is_diff:
                change = failure.metric_threshold.change_threshold.absolute.value
                what = f"{failure.metric_key.name}: {value:+.4g} from the last blessed model"
                lines.append(f"{what}, expected no worse than {change:+g}")
            else:
                what = f"{failure.metric_key.name} {value:.4g}"
                lines.append(f"{what}, expected {' and '.join(expected)}")
    return lines


def is_blessed(run: Run) -> bool:
    import tensorflow_model_analysis as tfma

    return bool(tfma.load_validation_result(run.artifacts[EVALUATION]).validation_ok)


def _slice(key: Any) -> str:
    value = getattr(key, key.WhichOneof("kind"))
    return f"{key.column}={value.decode() if isinstance(value, bytes) else value}"


def _value(entry: Any) -> tuple[float, tuple[float, float] | None] | None:
    value, interval = entry.value, None
    if value.HasField("bounded_value"):
        number = value.bounded_value.value.value
        bounds = value.bounded_value
        interval = (bounds.lower_bound.value, bounds.upper_bound.value)
    elif value.HasField("double_value"):
        number = value.double_value.value
    else:
        return None
    if entry.HasField("confidence_interval"):
        bounds = entry.confidence_interval
        interval = (
            bounds.lower_bound.double_value.value,
            bounds.upper_bound.double_value.value,
        )
    return None if math.isnan(number) else (number, interval)
