"""Confidence intervals of the metrics: how much they would vary with other texts.

This is a jackknife over groups of texts. A hash of the text decides its group, so the intervals
are the same to the last bit in every run, with any number of Beam workers. TFMA's own jackknife
and bootstrap draw at random in the order of the elements, and only its tests can set the seed.

With g groups, let m be a metric's value over all texts and m_i its value without group i. The
pseudo-values g m - (g - 1) m_i have a standard deviation s, and the interval is m -+ t s / sqrt(g),
where t is the quantile of Student's distribution with g - 1 degrees of freedom, as in TFMA.

The intervals cover other texts, not other trainings: another seed gives another model.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tensorflow_model_analysis.metrics import metric_types

from data import features
from pipeline.evaluation.calibration import calibration_error
from pipeline.evaluation.sums import (
    Sums,
    add_documents,
    add_reviews,
    add_to,
    bits_per_char,
    of_sums,
    ratio,
    top1,
)

GROUPS = 20
LEAST_GROUPS = 5  # groups with texts in them; with fewer, the interval is nan
_CONFIDENCE = 0.95


class ReviewIntervals(metric_types.Metric):
    """`<metric>_lower` and `<metric>_upper` of a sentiment model's metrics."""

    def __init__(self, name: str = "intervals", code_sha256: str = ""):
        super().__init__(_intervals(add_reviews, _OF_REVIEWS), name=name)


class TextIntervals(metric_types.Metric):
    """`<metric>_lower` and `<metric>_upper` of a next-token model's metrics."""

    def __init__(self, name: str = "intervals", code_sha256: str = ""):
        super().__init__(_intervals(add_documents, _OF_TEXTS), name=name)


def area_under_curve(sums: Sums) -> float:
    """The share of (positive, negative) pairs that are ranked correctly; ties count half."""
    ranks = sorted({name[:-2] for name in sums if name.startswith("rank_")})
    negatives = positives = pairs = 0
    for rank in ranks:
        negative, positive = (sums.get(f"{rank}_{label}", 0) for label in (0, 1))
        pairs += positive * (2 * negatives + negative)
        negatives += negative
        positives += positive
    total = 2 * negatives * positives
    return float(pairs / total) if total else math.nan


def jackknife(groups: list[Sums], metric: Callable[[Sums], float]) -> tuple[float, float]:
    """Lower and upper bound of `metric`; nan if there are too few groups or values are not finite.

    Args:
        groups: the sums of each group, in a fixed order.
        metric: computes the value from sums.
    """
    from scipy import stats

    nothing = math.nan, math.nan
    count = len(groups)
    if count < LEAST_GROUPS:
        return nothing
    whole: Sums = {}
    for sums in groups:
        add_to(whole, sums)
    value = metric(whole)
    without = [metric({n: whole[n] - sums.get(n, 0) for n in whole}) for sums in groups]
    pseudo = [count * value - (count - 1) * one for one in without]
    if not all(map(math.isfinite, pseudo)):
        return nothing
    mean = math.fsum(pseudo) / count
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in pseudo) / (count - 1))
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1)) * deviation / math.sqrt(count)
    return value - reach, value + reach


_Metrics = Mapping[str, tuple[Callable[[Sums], float], float]]  # function, and its highest value
_OF_REVIEWS: _Metrics = {
    "accuracy": (ratio("correct", "count"), 1.0),
    "auc": (area_under_curve, 1.0),
    "log_loss": (ratio("log_loss", "count"), math.inf),
    "calibration_error": (calibration_error, 1.0),
}
_OF_TEXTS: _Metrics = {
    "bits_per_char": (bits_per_char, math.inf),
    "top1": (top1, 1.0),
}


def _group(element: Any) -> str:
    (text,) = np.ravel(element.get_features()[features.TEXT])
    return f"{zlib.crc32(text if isinstance(text, bytes) else str(text).encode()) % GROUPS:02d} "


def _intervals(add: Callable[..., None], metrics: _Metrics) -> Callable[..., Any]:
    """The computations of a metric that gives the intervals of `metrics`."""

    def add_to_group(sums: Sums, element: Any, **names: Any) -> None:
        of_text: Sums = {}
        add(of_text, element, **names)
        add_to(sums, of_text, prefix=_group(element))

    def intervals(_: str, sums: Sums) -> dict[str, float]:
        groups: dict[str, Sums] = {}
        for name in sorted(sums):
            groups.setdefault(name[:3], {})[name[3:]] = sums[name]
        found = {}
        for name, (metric, highest) in metrics.items():
            lower, upper = jackknife(list(groups.values()), metric)
            found[f"{name}_lower"] = max(lower, 0.0)
            found[f"{name}_upper"] = min(upper, highest)
        return found

    with_text = metric_types.FeaturePreprocessor(
        feature_keys=[features.TEXT], include_default_inputs=True
    )
    return of_sums(add_to_group, intervals, [with_text])
