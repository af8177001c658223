"""The Evaluator's result, in the form of a run's summary.

`metrics` of split `eval` has each metric's value by its name, and

    "intervals": {"accuracy": [0.855, 0.883], ...}          95%, see intervals.py
    "slices": {"length_bucket=1-127": {"accuracy": 0.88, ...}, ...}
    "slice_intervals": {"length_bucket=1-127": {"accuracy": [0.85, 0.91], ...}, ...}

of a classification also

    "classes": {"billing": {"auc": 0.98, "f1": 0.85, "precision": 0.9, "recall": 0.8}, ...}
    "class_intervals": {"billing": {"precision": [0.86, 0.94], ...}, ...}
    "slice_classes", "slice_class_intervals": the same by slice
    "reliability": [{"from": 0.9, "to": 1.0, "count": 900, "probability": 0.96,
                     "correct": 0.95}, ...]                 see calibration.py
    "fairness": {"length_bucket": {"accuracy_gap": 0.03, "lowest": "285+", "highest": "1-127"}}

Numbers are TFMA's own. If there is a baseline, `accuracy_diff` and the like are differences from
the last pushed model. A slice with too few texts has no intervals. Metrics of a slice or a class
that are undefined are left out; of all texts they are nan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pipeline.evaluation.formulas import class_and_metric

_DIFFERENCE = "_diff"


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
    by_class = {where: _by_class(numbers) for where, numbers in sorted(slices.items())}
    plain = {where: of.pop("") for where, of in by_class.items()}
    values = {where: _values(numbers) for where, numbers in plain.items()}
    intervals = {where: _intervals(numbers) for where, numbers in plain.items()}
    found: dict[str, Any] = {
        **values.pop("all"),
        "slices": {where: _defined(numbers) for where, numbers in values.items()},
        "intervals": intervals.pop("all"),
        "slice_intervals": _not_empty(intervals),
    }
    if by_class["all"]:
        classes = {where: _map(_values_of_class, of) for where, of in by_class.items()}
        bounds = {where: _map(_intervals, of) for where, of in by_class.items()}
        found |= {
            "classes": classes.pop("all"),
            "class_intervals": bounds.pop("all"),
            "slice_classes": classes,
            "slice_class_intervals": _not_empty(bounds),
            "reliability": reliability(plain["all"]),
        }
    features = sorted({where.partition("=")[0] for where in values})
    if gaps := {name: gap for name in features if (gap := _gap(values, name))}:
        found["fairness"] = gaps
    return found


def _by_class(numbers: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The numbers of each class by metric; under "" those of no class."""
    found: dict[str, dict[str, float]] = {"": {}}
    for name, number in sorted(numbers.items()):
        of, metric = class_and_metric(name)
        found.setdefault(of, {})[metric] = number
    return found


def _values(numbers: Mapping[str, float]) -> dict[str, float]:
    return {
        name: value
        for name, value in numbers.items()
        if not name.startswith("reliability_")
        and not name.removesuffix(_DIFFERENCE).endswith(("_lower", "_upper"))
    }


def _values_of_class(numbers: Mapping[str, float]) -> dict[str, float]:
    values = _defined(_values(numbers))
    return {name: value for name, value in values.items() if not name.endswith(_DIFFERENCE)}


def _intervals(numbers: Mapping[str, float]) -> dict[str, list[float]]:
    found = {}
    for lower_name, lower in sorted(numbers.items()):
        name = lower_name.removesuffix("_lower")
        if name != lower_name and math.isfinite(lower):
            found[name] = [lower, numbers[f"{name}_upper"]]
    return found


def _defined(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if not math.isnan(value)}


def _map(function: Callable[[Any], Any], of: Mapping[str, Any]) -> dict[str, Any]:
    """The function's values by key, without empty ones."""
    return _not_empty({name: function(numbers) for name, numbers in of.items()})


def _not_empty(of: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in of.items() if value}


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
