"""Evaluator: metrics, slices and what a model must reach to be blessed.

Reviews are judged by the probability that the served model gives, the Bible by the
bits that its `score_examples` signature counts: a model's loss over tokens would change
with the vocabulary, bits per character do not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2
from tensorflow_model_analysis.metrics import metric_types, metric_util

from pipeline.code_hash import code_sha256
from pipeline.config import RunConfig
from pipeline.tasks import TASKS


def eval_config(config: RunConfig) -> tfma.EvalConfig:
    """The Evaluator's configuration; thresholds are on all of `eval`, slices only inform."""
    task = TASKS[config.task]
    if task.head == "sentiment":
        model = tfma.ModelSpec(
            signature_name="serving_examples",
            label_key=task.label,
            prediction_key="probability",
        )
        metrics = [
            tfma.MetricConfig(class_name="ExampleCount"),
            _metric_with_bounds(
                "BinaryAccuracy",
                "accuracy",
                tfma.MetricDirection.HIGHER_IS_BETTER,
                bound={"lower_bound": config.evaluation.min_accuracy},
                tolerance=config.evaluation.tolerance,
            ),
            tfma.MetricConfig(class_name="AUC", config=_named("auc")),
            tfma.MetricConfig(class_name="BinaryCrossentropy", config=_named("log_loss")),
        ]
    else:
        model = tfma.ModelSpec(signature_name="score_examples")
        metrics = [
            tfma.MetricConfig(class_name="ExampleCount"),
            _metric_with_bounds(
                "BitsPerChar",
                "bits_per_char",
                tfma.MetricDirection.LOWER_IS_BETTER,
                bound={"upper_bound": config.evaluation.max_bits_per_char},
                tolerance=config.evaluation.tolerance,
                module=__name__,
            ),
            tfma.MetricConfig(
                class_name="TokenTop1", config=_named("top1", __name__), module=__name__
            ),
        ]
    return tfma.EvalConfig(
        model_specs=[model],
        slicing_specs=[
            tfma.SlicingSpec(),
            *(tfma.SlicingSpec(feature_keys=[name]) for name in task.slices),
        ],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )


def _named(name: str, module: str = "") -> str:
    # Evaluator's cache key holds this, but not our module's code.
    return json.dumps({"name": name} | ({"code_sha256": code_sha256(module)} if module else {}))


def _metric_with_bounds(
    class_name: str,
    name: str,
    direction: Any,
    bound: dict[str, float],
    tolerance: float,
    module: str = "",
) -> tfma.MetricConfig:
    sign = -1 if direction == tfma.MetricDirection.HIGHER_IS_BETTER else 1
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(
            **{side: wrappers_pb2.DoubleValue(value=value) for side, value in bound.items()}
        ),
        change_threshold=tfma.GenericChangeThreshold(
            direction=direction, absolute=wrappers_pb2.DoubleValue(value=sign * tolerance)
        ),
    )
    return tfma.MetricConfig(
        class_name=class_name,
        config=_named(name, module),
        module=module,
        per_slice_thresholds=[
            tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=threshold)
        ],
    )


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
    def __init__(self, key: metric_types.MetricKey, numerator: str, denominator: str):
        self._key = key
        self._names = (numerator, denominator)

    def create_accumulator(self) -> tuple[float, float]:
        return 0.0, 0.0

    def add_input(self, sums: tuple[float, float], element: Any) -> tuple[float, float]:
        predictions = element.get_predictions()
        if self._key.model_name in predictions:
            predictions = predictions[self._key.model_name]
        top, bottom = (float(np.sum(predictions[name])) for name in self._names)
        return sums[0] + top, sums[1] + bottom

    def merge_accumulators(
        self, accumulators: Iterator[tuple[float, float]]
    ) -> tuple[float, float]:
        tops, bottoms = zip(*accumulators, strict=True)
        return sum(tops), sum(bottoms)

    def extract_output(self, sums: tuple[float, float]) -> dict[metric_types.MetricKey, float]:
        return {self._key: sums[0] / sums[1] if sums[1] else float("nan")}
