"""Sums over examples by which metrics are computed: exact, so that no order changes a bit.

Beam adds up in any order, and floats added in another order have other last bits; fractions
have no rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

Sums = dict[str, Any]  # int, Fraction, or a float that is not finite

BINS = 10  # of the probability, for calibration
_RANKS = 10_000  # of the probability, for the area under the curve; as many as TFMA takes
_EPSILON = 1e-7  # a probability's least distance from 0 and 1 in the log loss, as Keras has it


class SumsCombiner(beam.CombineFn):
    """Adds each example's numbers to sums by name, and makes metrics of the sums."""

    def __init__(
        self,
        add: Callable[[Sums, Any], None],
        metrics: Callable[[Sums], dict[metric_types.MetricKey, float]],
    ):
        self._add = add
        self._metrics = metrics

    def create_accumulator(self) -> Sums:
        return {}

    def add_input(self, sums: Sums, element: Any) -> Sums:
        self._add(sums, element)
        return sums

    def merge_accumulators(self, accumulators: Iterable[Sums]) -> Sums:
        merged: Sums = {}
        for sums in accumulators:
            for name, value in sums.items():
                merged[name] = merged.get(name, 0) + value
        return merged

    def extract_output(self, sums: Sums) -> dict[metric_types.MetricKey, float]:
        return self._metrics(sums)


def exact(number: float) -> Fraction | float:
    """The number as a fraction; what is not finite has none, and stays."""
    # Added to a fraction, it gives what it gives to a float.
    return Fraction(number) if math.isfinite(number) else number


def add_reviews(
    sums: Sums, element: Any, eval_config: Any, model_name: str, output_name: str
) -> None:
    """Adds a text's label (0, 1) and probability of positive: what all metrics of them need."""
    for label, prediction, _ in metric_util.to_label_prediction_example_weight(
        element, eval_config=eval_config, model_name=model_name, output_name=output_name
    ):
        for is_positive, probability in zip(np.ravel(label), np.ravel(prediction), strict=True):
            _add_review(sums, int(is_positive), float(probability))


def _add_review(sums: Sums, is_positive: int, probability: float) -> None:
    def add(name: str, number: Fraction | float) -> None:
        sums[name] = sums.get(name, 0) + number

    add("count", 1)
    if not math.isfinite(probability):
        add("log_loss", math.nan)
        return
    of_label = probability if is_positive else 1 - probability
    add("correct", int((probability > 0.5) == bool(is_positive)))
    add("log_loss", exact(-math.log(min(max(of_label, _EPSILON), 1 - _EPSILON))))
    i = min(int(probability * BINS), BINS - 1)
    add(f"bin_{i}_count", 1)
    add(f"bin_{i}_probability", exact(probability))
    add(f"bin_{i}_positive", is_positive)
    add(f"rank_{int(probability * _RANKS):05d}_{is_positive}", 1)


def add_documents(sums: Sums, element: Any, model_name: str) -> None:
    """Adds what `score_examples` counts of a document: bits, characters, tokens, correct."""
    predictions = element.get_predictions()
    if model_name in predictions:
        predictions = predictions[model_name]
    for name in ("bits", "characters", "tokens", "correct"):
        for number in np.ravel(predictions[name]).tolist():
            sums[name] = sums.get(name, 0) + exact(number)
