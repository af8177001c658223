"""Calibration of a classifier: of the texts whose answer it gives 0.8, are 8 in 10 right?

The confidence in the answer, the highest of a text's scores, is put into bins of equal width. In
each bin, the gap is the distance between the mean confidence and the share of right answers. The
expected calibration error is the mean of the gaps, weighted by the number of texts in the bin: 0 is
best, and a gap of 0.05 in every bin gives 0.05. With n classes, no confidence is below 1 / n.

Sources: Naeini, Cooper and Hauskrecht (AAAI 2015); for more than two classes, Guo et al.,
arXiv:1706.04599, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.evaluation.sums import BINS, Sums, ratio


def calibration_error(sums: Sums) -> float:
    """The error from the sums of `add_texts`; nan if there are no texts."""
    total = sums.get("count", 0)
    gaps = [
        abs(sums[f"bin_{i}_probability"] - sums.get(f"bin_{i}_correct", 0))
        for i in range(BINS)
        if sums.get(f"bin_{i}_count")
    ]
    return float(sum(gaps) / total) if total else float("nan")


def bins(sums: Sums) -> dict[str, float]:
    """For each bin i `reliability_<i>_count`, `_probability` and `_correct`.

    `_probability` is the bin's mean confidence, `_correct` its share of right answers; both are
    nan for an empty bin.
    """
    found = {}
    for i in range(BINS):
        found[f"reliability_{i}_count"] = float(sums.get(f"bin_{i}_count", 0))
        for what in ("probability", "correct"):
            found[f"reliability_{i}_{what}"] = ratio(f"bin_{i}_{what}", f"bin_{i}_count")(sums)
    return found


def reliability(numbers: Mapping[str, float]) -> list[dict[str, float]]:
    """The bins that are not empty: bounds, count, mean confidence, share of right answers."""
    return [
        {
            "from": i / BINS,
            "to": (i + 1) / BINS,
            "count": numbers[f"reliability_{i}_count"],
            "probability": numbers[f"reliability_{i}_probability"],
            "correct": numbers[f"reliability_{i}_correct"],
        }
        for i in range(BINS)
        if numbers.get(f"reliability_{i}_count")
    ]
