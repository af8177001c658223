"""Confidence intervals of the metrics: how much they would vary with other texts.

A jackknife over groups of texts. A text's group is the hash of the text, so that the intervals
are the same to the last bit in every run, whatever the order and the number of Beam's workers;
TFMA's own jackknife and bootstrap draw at random, in the order of the elements, with a seed for
its tests only. With g groups, and a metric's value m over all and m_i without group i, the
pseudo-values g m - (g - 1) m_i have a standard deviation s; the interval is
m -+ t s / sqrt(g), with t of Student's distribution with g - 1 degrees of freedom, as TFMA has it.

It tells of the texts, not of the training: another seed gives another model.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from data import features
from pipeline.evaluation.calibration import calibration_error
from pipeline.evaluation.sums import Sums, SumsCombiner, add_documents, add_reviews

GROUPS = 20
LEAST_GROUPS = 5  # with texts in them; of fewer texts there is no interval
_CONFIDENCE = 0.95


class ReviewIntervals(metric_types.Metric):
    """`<metric>_lower` and `<metric>_upper` of a sentiment model's metrics."""

    def __init__(self, name: str = "intervals", code_sha256: str = ""):
        super().__init__(_computations(_add_reviews, _OF_REVIEWS), name=name)


class TextIntervals(metric_types.Metric):
    """`<metric>_lower` and `<metric>_upper` of a next-token model's metrics."""

    def __init__(self, name: str = "intervals", code_sha256: str = ""):
        super().__init__(_computations(_add_documents, _OF_TEXTS), name=name)


def area_under_curve(sums: Sums) -> float:
    """Share of the pairs of a positive and a negative that are ranked right; ties count half."""
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
    """Lower and upper bound of `metric`; nan where there are too few groups, or no value.

    Args:
        groups: each group's sums, in a fixed order.
        metric: of sums; of a part of them too.
    """
    from scipy import stats

    nothing = math.nan, math.nan
    count = len(groups)
    if count < LEAST_GROUPS:
        return nothing
    whole: Sums = {}
    for sums in groups:
        for name, value in sums.items():
            whole[name] = whole.get(name, 0) + value
    value = metric(whole)
    without = [metric({n: whole[n] - sums.get(n, 0) for n in whole}) for sums in groups]
    pseudo = [count * value - (count - 1) * one for one in without]
    if not all(map(math.isfinite, pseudo)):
        return nothing
    mean = math.fsum(pseudo) / count
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in pseudo) / (count - 1))
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1)) * deviation / math.sqrt(count)
    return value - reach, value + reach


def _share(top: str, bottom: str) -> Callable[[Sums], float]:
    def value(sums: Sums) -> float:
        return float(sums.get(top, 0) / sums[bottom]) if sums.get(bottom) else math.nan

    return value


_Metrics = Mapping[str, tuple[Callable[[Sums], float], float]]  # and the highest possible value
_OF_REVIEWS: _Metrics = {
    "accuracy": (_share("correct", "count"), 1.0),
    "auc": (area_under_curve, 1.0),
    "log_loss": (_share("log_loss", "count"), math.inf),
    "calibration_error": (calibration_error, 1.0),
}
_OF_TEXTS: _Metrics = {
    "bits_per_char": (_share("bits", "characters"), math.inf),
    "top1": (_share("correct", "tokens"), 1.0),
}


def _add_reviews(sums: Sums, element: Any, eval_config: Any, model: str, output: str) -> None:
    add_reviews(sums, element, eval_config, model, output)


def _add_documents(sums: Sums, element: Any, eval_config: Any, model: str, output: str) -> None:
    add_documents(sums, element, model)


def _group(element: Any) -> str:
    (text,) = np.ravel(element.get_features()[features.TEXT])
    return f"{zlib.crc32(text if isinstance(text, bytes) else str(text).encode()) % GROUPS:02d} "


def _computations(add_one: Callable[..., None], metrics: _Metrics) -> Callable[..., Any]:
    def computations(
        model_name: str = "", output_name: str = "", eval_config: Any = None, **_: Any
    ) -> list[metric_types.MetricComputation]:
        def key(figure: str) -> metric_types.MetricKey:
            return metric_types.MetricKey(figure, model_name=model_name, output_name=output_name)

        def add(sums: Sums, element: Any) -> None:
            of_text: Sums = {}
            add_one(of_text, element, eval_config, model_name, output_name)
            group = _group(element)
            for name, value in of_text.items():
                sums[group + name] = sums.get(group + name, 0) + value

        def intervals(sums: Sums) -> dict[metric_types.MetricKey, float]:
            groups: dict[str, Sums] = {}
            for name in sorted(sums):
                groups.setdefault(name[:3], {})[name[3:]] = sums[name]
            found = {}
            for name, (metric, highest) in metrics.items():
                lower, upper = jackknife(list(groups.values()), metric)
                found[key(f"{name}_lower")] = max(lower, 0.0)
                found[key(f"{name}_upper")] = min(upper, highest)
            return found

        return [
            metric_types.MetricComputation(
                keys=[key(f"{name}_{bound}") for name in metrics for bound in ("lower", "upper")],
                preprocessors=[
                    metric_types.FeaturePreprocessor(
                        feature_keys=[features.TEXT], include_default_inputs=True
                    )
                ],
                combiner=SumsCombiner(add, intervals),
            )
        ]

    return metric_util.merge_per_key_computations(computations)
