"""Metrics as functions of exact sums over examples, the same bits in any order.

Beam adds in any order, and the last bits of a sum of floats depend on the order. Fractions are
not rounded.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

Sums = dict[str, Any]  # int, Fraction, or a float that is not finite

BINS = 10  # of the confidence, for calibration
RANKS = 10_000  # of a score, for the area under the curve; as many as TFMA uses
RANK = "rank "  # of sums: "rank <class> <1 for a text of that class, else 0> <rank of its score>"
_EPSILON = 1e-7  # least distance of a probability from 0 and 1 in the log loss; Keras' value


def of_sums(
    add: Callable[..., None],
    metrics: Callable[[str, Sums], Mapping[str, float]],
    preprocessors: Sequence[metric_types.Preprocessor] | None = None,
) -> Callable[..., metric_types.MetricComputations]:
    """Builds what a TFMA metric is made from: a function that returns its computations.

    Args:
        add: adds an element to sums; called with (sums, element) and the keywords eval_config,
            model_name and output_name.
        metrics: the values by name, from the metric's own name and the sums, which may be empty.
        preprocessors: of TFMA; None: elements have labels and predictions only.
    """

    def computations(
        name: str = "",
        model_name: str = "",
        output_name: str = "",
        eval_config: Any = None,
        **_: Any,
    ) -> list[metric_types.MetricComputation]:
        def key(metric: str) -> metric_types.MetricKey:
            # Examples have no weights. TFMA applies a MetricsSpec's thresholds to such keys only.
            return metric_types.MetricKey(
                metric, model_name=model_name, output_name=output_name, example_weighted=None
            )

        combiner = SumsCombiner(
            functools.partial(
                add, eval_config=eval_config, model_name=model_name, output_name=output_name
            ),
            lambda sums: {key(metric): value for metric, value in metrics(name, sums).items()},
        )
        keys = [key(metric) for metric in metrics(name, {})]
        return [metric_types.MetricComputation(keys, preprocessors, combiner)]

    return metric_util.merge_per_key_computations(computations)


class SumsCombiner(beam.CombineFn):
    """Adds the numbers of examples to named sums, and computes metrics from the sums."""

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
            add_to(merged, sums)
        return merged

    def extract_output(self, sums: Sums) -> dict[metric_types.MetricKey, float]:
        return self._metrics(sums)


def add_to(sums: Sums, more: Mapping[str, Any], prefix: str = "") -> None:
    """Adds numbers to sums by name; the names get a prefix."""
    for name, number in more.items():
        sums[prefix + name] = sums.get(prefix + name, 0) + number


def ratio(numerator: str, denominator: str) -> Callable[[Sums], float]:
    """A metric that is one sum over another; nan if the denominator is 0."""

    def value(sums: Sums) -> float:
        if not sums.get(denominator):
            return math.nan
        return float(sums.get(numerator, 0) / sums[denominator])

    return value


def add_texts(
    sums: Sums, element: Any, eval_config: Any, model_name: str, output_name: str
) -> None:
    """Adds what the metrics need of a text: its label and its scores."""
    for label, scores, _ in metric_util.to_label_prediction_example_weight(
        element,
        eval_config=eval_config,
        model_name=model_name,
        output_name=output_name,
        flatten=False,
    ):
        add_text(sums, int(np.ravel(label)[0]), np.ravel(scores))


def add_text(sums: Sums, label: int, scores: np.ndarray) -> None:
    """Adds the label of one text, an index from 0, and the scores of the classes (n,)."""
    add_to(sums, {"count": 1, f"label {label}": 1})
    if not np.isfinite(scores).all():
        add_to(sums, {"log_loss": math.nan})
        return
    answer = int(np.argmax(scores))  # of equal scores the first
    values = [float(score) for score in scores]
    i = min(int(values[answer] * BINS), BINS - 1)
    right = int(answer == label)
    numbers = {
        "correct": right,
        f"answer {answer}": 1,
        f"right {label}": right,
        "log_loss": _exact(-math.log(min(max(values[label], _EPSILON), 1 - _EPSILON))),
        f"bin_{i}_count": 1,
        f"bin_{i}_probability": _exact(values[answer]),
        f"bin_{i}_correct": right,
    }
    numbers |= {f"{RANK}{c} {int(c == label)} {int(v * RANKS)}": 1 for c, v in enumerate(values)}
    add_to(sums, numbers)


def add_documents(sums: Sums, element: Any, model_name: str, **_: Any) -> None:
    """Adds what `score_examples` counts in a document: bits, characters, tokens, correct."""
    predictions = element.get_predictions()
    if model_name in predictions:
        predictions = predictions[model_name]
    for name in ("bits", "characters", "tokens", "correct"):
        for number in np.ravel(predictions[name]).tolist():
            add_to(sums, {name: _exact(number)})


def _exact(number: float) -> Fraction | float:
    """The number as a fraction; nan and infinities stay floats."""
    return Fraction(number) if math.isfinite(number) else number
