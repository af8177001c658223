"""Metrics of a next-token model that TFMA lacks: ratios of sums over examples.

They read what the model's `score_examples` signature counts for each example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from pipeline.evaluation.sums import exact

_Sums = tuple[Fraction | float, Fraction | float]


class BitsPerChar(metric_types.Metric):
    """Sum of bits over sum of characters, from a signature that returns both per example."""

    def __init__(self, name: str = "bits_per_char", code_sha256: str = ""):
        super().__init__(_ratio_of("bits", "characters"), name=name)


class TokenTop1(metric_types.Metric):
    """Share of tokens that the model holds likeliest, from `correct` and `tokens` per example."""

    def __init__(self, name: str = "top1", code_sha256: str = ""):
        super().__init__(_ratio_of("correct", "tokens"), name=name)


def _ratio_of(numerator: str, denominator: str) -> Callable[..., Any]:
    def computations(
        name: str = "", model_name: str = "", output_name: str = "", **_: Any
    ) -> list[metric_types.MetricComputation]:
        key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name)
        combiner = _RatioOfSums(key, numerator, denominator)
        return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=combiner)]

    return metric_util.merge_per_key_computations(computations)


class _RatioOfSums(beam.CombineFn):
    """Sums as fractions, which have no rounding: in any order they are the same."""

    def __init__(self, key: metric_types.MetricKey, numerator: str, denominator: str):
        self._key = key
        self._names = (numerator, denominator)

    def create_accumulator(self) -> _Sums:
        return Fraction(), Fraction()

    def add_input(self, sums: _Sums, element: Any) -> _Sums:
        predictions = element.get_predictions()
        if self._key.model_name in predictions:
            predictions = predictions[self._key.model_name]
        top, bottom = (sum(map(exact, np.ravel(predictions[n]).tolist())) for n in self._names)
        return sums[0] + top, sums[1] + bottom

    def merge_accumulators(self, accumulators: Iterable[_Sums]) -> _Sums:
        tops, bottoms = zip(*accumulators, strict=True)
        return sum(tops), sum(bottoms)

    def extract_output(self, sums: _Sums) -> dict[metric_types.MetricKey, float]:
        return {self._key: float(sums[0] / sums[1]) if sums[1] else float("nan")}
