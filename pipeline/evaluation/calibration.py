"""Calibration of a sentiment model: are 8 in 10 of the texts that it gives 0.8 really positive?

Probabilities of positive are put into bins of equal width. In each bin, the gap is the distance
between the mean probability and the share of positives. The expected calibration error is the
mean of the gaps, weighted by the number of texts in the bin: 0 is best, and a gap of 0.05 in
every bin gives 0.05. Naeini, Cooper and Hauskrecht (AAAI 2015) define it for the confidence in
the predicted label instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from tensorflow_model_analysis.metrics import metric_types

from pipeline.evaluation.sums import BINS, Sums, add_reviews, of_sums, ratio


class CalibrationError(metric_types.Metric):
    """`calibration_error`, and for each bin i `reliability_<i>_count`, `_probability`, `_positive`.

    `_probability` is the bin's mean probability, `_positive` its share of positives; both are nan
    for an empty bin.
    """

    def __init__(self, name: str = "calibration_error", code_sha256: str = ""):
        super().__init__(of_sums(add_reviews, _metrics), name=name)


def calibration_error(sums: Sums) -> float:
    """The error from the sums of `add_reviews`; nan if there are no texts."""
    total = sums.get("count", 0)
    gaps = [
        abs(sums[f"bin_{i}_probability"] - sums.get(f"bin_{i}_positive", 0))
        for i in range(BINS)
        if sums.get(f"bin_{i}_count")
    ]
    return float(sum(gaps) / total) if total else float("nan")


def reliability(numbers: Mapping[str, float]) -> list[dict[str, float]]:
    """The bins that are not empty: bounds, count, mean probability, share of positives."""
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


def _metrics(name: str, sums: Sums) -> dict[str, float]:
    found = {name: calibration_error(sums)}
    for i in range(BINS):
        found[f"reliability_{i}_count"] = float(sums.get(f"bin_{i}_count", 0))
        for what in ("probability", "positive"):
            found[f"reliability_{i}_{what}"] = ratio(f"bin_{i}_{what}", f"bin_{i}_count")(sums)
    return found
