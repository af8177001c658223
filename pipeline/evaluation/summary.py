"""The Evaluator's result, in the form of a run's summary.

`metrics` of split `eval` has each metric's value by its name, and

    "intervals": {"accuracy": [0.855, 0.883], ...}          95%, see intervals.py
    "slices": {"length_bucket=1-127": {"accuracy": 0.88, ...}, ...}
    "slice_intervals": {"length_bucket=1-127": {"accuracy": [0.85, 0.91], ...}, ...}
    "reliability": [{"from": 0.0, "to": 0.1, "count": 900, "probability": 0.03,
                     "positive": 0.05}, ...]                for reviews, see calibration.py
    "fairness": {"length_bucket": {"accuracy_gap": 0.03, "lowest": "285+", "highest": "1-127"}}

Numbers are TFMA's own. If there is a baseline, `accuracy_diff` and the like are differences from
the last pushed model. A slice with too few texts has no intervals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from data import features

_FAIR = (features.LENGTH_BUCKET,)  # features whose slices should have about the same accuracy


def collect(folder: str | None) -> dict[str, Any]:
    """Reads an Evaluator's output: `metrics` by split, `blessed`, `failed_thresholds`.

    Args:
        folder: of the ModelEvaluation artifact; None: the model was not evaluated.
    """
    import tensorflow_model_analysis as tfma

    if not folder:
        return {"metrics": None, "blessed": False, "failed_thresholds": []}
    result = tfma.load_eval_result(folder)
    slices = {
        " ".join(f"{name}={value}" for name, value in key) or "all": _numbers(metrics)
        for key, metrics in result.slicing_metrics
    }
    validation = tfma.load_validation_result(folder)
    return {
        "metrics": {"eval": of_split(slices)},
        "blessed": validation.validation_ok,
        "failed_thresholds": list(_failures(validation)),
    }


def of_split(slices: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The metrics of a split, see the module's docstring.

    Args:
        slices: TFMA's numbers for `all` and for each slice.
    """
    from pipeline.evaluation.calibration import reliability

    # Sorted, as TFMA's order of slices depends on Beam's workers.
    values = {name: _values(numbers) for name, numbers in sorted(slices.items())}
    intervals = {name: _intervals(numbers) for name, numbers in sorted(slices.items())}
    found: dict[str, Any] = {
        **values.pop("all"),
        "slices": values,
        "intervals": intervals.pop("all"),
        "slice_intervals": {name: bounds for name, bounds in intervals.items() if bounds},
    }
    if bins := reliability(slices["all"]):
        found["reliability"] = bins
    if gaps := {name: gap for name in _FAIR if (gap := _gap(values, name))}:
        found["fairness"] = gaps
    return found


def _values(numbers: Mapping[str, float]) -> dict[str, float]:
    return {
        name: value
        for name, value in numbers.items()
        if not name.startswith("reliability_")
        and not name.removesuffix("_diff").endswith(("_lower", "_upper"))
    }


def _intervals(numbers: Mapping[str, float]) -> dict[str, list[float]]:
    found = {}
    for lower_name, lower in sorted(numbers.items()):
        name = lower_name.removesuffix("_lower")
        if name != lower_name and math.isfinite(lower):
            found[name] = [lower, numbers[f"{name}_upper"]]
    return found


def _gap(slices: Mapping[str, Mapping[str, float]], feature: str) -> dict[str, Any] | None:
    accuracies = {
        name.partition("=")[2]: numbers["accuracy"]
        for name, numbers in sorted(slices.items())
        if name.startswith(f"{feature}=") and "accuracy" in numbers
    }
    if not accuracies:
        return None
    lowest, highest = (choose(accuracies, key=accuracies.__getitem__) for choose in (min, max))
    gap = accuracies[highest] - accuracies[lowest]
    return {"accuracy_gap": gap, "lowest": lowest, "highest": highest}


def _numbers(metrics: dict[str, dict[str, dict[str, dict[str, float]]]]) -> dict[str, float]:
    # float() as TFMA writes nan as the JSON string "NaN".
    return {name: float(value["doubleValue"]) for name, value in metrics[""][""].items()}


def _failures(validation: Any) -> Iterable[str]:
    """Each threshold that the model failed, as `accuracy 0.52, expected at least 0.8`."""
    for in_slice in validation.metric_validations_per_slice:
        for failure in in_slice.failures:
            value = failure.metric_value.double_value.value
            threshold = failure.metric_threshold
            bounds = threshold.value_threshold
            expected = []
            if bounds.HasField("lower_bound"):
                expected.append(f"at least {bounds.lower_bound.value:g}")
            if bounds.HasField("upper_bound"):
                expected.append(f"at most {bounds.upper_bound.value:g}")
            if failure.metric_key.is_diff:
                change = threshold.change_threshold.absolute.value
                expected = [f"no worse than {change:g} from the last pushed model"]
            yield f"{failure.metric_key.name} {value:.4g}, expected {' and '.join(expected)}"
