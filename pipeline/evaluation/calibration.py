"""Calibration of a sentiment model: of those texts to which it gives 0.8, are 8 in 10 positive?

Probabilities of `positive` are sorted into bins of equal width. The expected calibration
error is the mean, over texts, of the gap in their bin between the mean probability and the
share of positives: 0 is best, and a gap of 0.05 all over gives 0.05. (Naeini, Cooper,
Hauskrecht, AAAI 2015, there by the confidence in the predicted label.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tensorflow_model_analysis.metrics import metric_types, metric_util

from pipeline.evaluation.sums import BINS, Sums, SumsCombiner, add_reviews


class CalibrationError(metric_types.Metric):
    """`calibration_error`, and for each bin i `reliability_<i>_count`, `_probability`, `_positive`.

    A bin's probability and share of positives are means; of an empty bin there is its count only.
    """

    def __init__(self, name: str = "calibration_error", code_sha256: str = ""):
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name)


def calibration_error(sums: Sums) -> float:
    """Of sums as add_reviews makes them; nan if there is no text."""
    total = sums.get("count", 0)
    gaps = [
        abs(sums[f"bin_{i}_probability"] - sums.get(f"bin_{i}_positive", 0))
        for i in range(BINS)
        if sums.get(f"bin_{i}_count")
    ]
    return float(sum(gaps) / total) if total else float("nan")


def reliability(numbers: Mapping[str, float]) -> list[dict[str, float]]:
    """The bins that have texts: bounds, count, mean probability, share of positives."""
    return [
        {
            "from": i / BINS,
            "to": (i + 1) / BINS,
            "count": numbers[f"reliability_{i}_count"],
            "probability": numbers[f"reliability_{i}_probability"],
            "positive": numbers[f"reliability_{i}_positive"],
        }
        for i in range(BINS)
        if numbers.get(f"reliability_{i}_count")
    ]


def _computations(
    name: str = "",
    model_name: str = "",
    output_name: str = "",
    eval_config: Any = None,
    **_: Any,
) -> list[metric_types.MetricComputation]:
    def figures(sums: Sums) -> Iterator[tuple[str, float]]:
        yield name, calibration_error(sums)
        for i in range(BINS):
            count = sums.get(f"bin_{i}_count", 0)
            yield f"reliability_{i}_count", float(count)
            for what in ("probability", "positive"):
                mean = sums.get(f"bin_{i}_{what}", 0) / count if count else float("nan")
                yield f"reliability_{i}_{what}", float(mean)

    def add(sums: Sums, element: Any) -> None:
        add_reviews(sums, element, eval_config, model_name, output_name)

    def key(figure: str) -> metric_types.MetricKey:
        return metric_types.MetricKey(figure, model_name=model_name, output_name=output_name)

    combiner = SumsCombiner(add, lambda sums: {key(n): v for n, v in figures(sums)})
    keys = [key(figure) for figure, _ in figures({})]
    return [metric_types.MetricComputation(keys=keys, preprocessors=None, combiner=combiner)]
