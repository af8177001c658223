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
from pipeline.evaluation.sums import Sums, add_to, of_sums

GROUPS = 20
LEAST_GROUPS = 5  # groups with texts in them; with fewer, the interval is nan
_CONFIDENCE = 0.95


_UNBOUNDED = ("log_loss", "bits_per_char")  # metrics that may be above 1
Figures = Callable[[Sums], Mapping[str, float]]


def jackknife(groups: list[Sums], figures: Figures) -> dict[str, tuple[float, float]]:
    """Lower and upper bound of each metric; nan if there are too few groups, or nan among values.

    Args:
        groups: the sums of each group, in a fixed order.
        figures: computes the metrics by name from sums, which may be empty.
    """
    from scipy import stats

    count = len(groups)
    if count < LEAST_GROUPS:
        return dict.fromkeys(figures({}), (math.nan, math.nan))
    whole: Sums = {}
    for sums in groups:
        add_to(whole, sums)
    without = [figures({n: whole[n] - sums.get(n, 0) for n in whole}) for sums in groups]
    quantile = float(stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1))
    bounds = {}
    for name, value in figures(whole).items():
        pseudo = [count * value - (count - 1) * one[name] for one in without]
        if not all(map(math.isfinite, pseudo)):
            bounds[name] = math.nan, math.nan
            continue
        mean = math.fsum(pseudo) / count
        deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in pseudo) / (count - 1))
        reach = quantile * deviation / math.sqrt(count)
        bounds[name] = value - reach, value + reach
    return bounds


def _group(element: Any) -> str:
    (text,) = np.ravel(element.get_features()[features.TEXT])
    return f"{zlib.crc32(text if isinstance(text, bytes) else str(text).encode()) % GROUPS:02d} "


def intervals_of(add: Callable[..., None], figures: Figures) -> Callable[..., Any]:
    """Builds what a TFMA metric is made from that gives `<metric>_lower` and `<metric>_upper`.

    Args:
        add: adds an element to sums, as in `of_sums`.
        figures: computes the metrics by name from sums, which may be empty.
    """

    def add_to_group(sums: Sums, element: Any, **names: Any) -> None:
        of_text: Sums = {}
        add(of_text, element, **names)
        add_to(sums, of_text, prefix=_group(element))

    def intervals(_: str, sums: Sums) -> dict[str, float]:
        groups: dict[str, Sums] = {}
        for name in sorted(sums):
            groups.setdefault(name[:3], {})[name[3:]] = sums[name]
        found = {}
        for name, (lower, upper) in jackknife(list(groups.values()), figures).items():
            found[f"{name}_lower"] = max(lower, 0.0)
            found[f"{name}_upper"] = upper if name in _UNBOUNDED else min(upper, 1.0)
        return found

    with_text = metric_types.FeaturePreprocessor(
        feature_keys=[features.TEXT], include_default_inputs=True
    )
    return of_sums(add_to_group, intervals, [with_text])
