"""Evaluator: metrics, slices and what a model must reach to be blessed.

Reviews are judged by the probability that the served model gives, the Bible by the
bits that its `score_examples` signature counts: a model's loss over tokens would change
with the vocabulary, bits per character do not. Where there is no blessed model before, as in
a first run, bounds alone decide.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import wrappers_pb2
from tensorflow_model_analysis.proto import config_pb2

from data.tasks import TASKS
from pipeline.code_hash import code_sha256
from pipeline.config import RunConfig

_METRICS = "pipeline.evaluation.next_token_metrics"


def eval_config(config: RunConfig) -> config_pb2.EvalConfig:
    """The Evaluator's configuration; thresholds are on all of `eval`, slices only inform."""
    task = TASKS[config.task]
    if task.head == "sentiment":
        model = config_pb2.ModelSpec(
            signature_name="serving_examples",
            label_key=task.label,
            prediction_key="probability",
        )
        metrics = [
            config_pb2.MetricConfig(class_name="ExampleCount"),
            _metric_with_bounds(
                "BinaryAccuracy",
                "accuracy",
                config_pb2.MetricDirection.HIGHER_IS_BETTER,
                bound={"lower_bound": config.evaluation.min_accuracy},
                tolerance=config.evaluation.tolerance,
            ),
            config_pb2.MetricConfig(class_name="AUC", config=_named("auc")),
            config_pb2.MetricConfig(class_name="BinaryCrossentropy", config=_named("log_loss")),
            _metric_with_bounds(
                "CalibrationError",
                "calibration_error",
                config_pb2.MetricDirection.LOWER_IS_BETTER,
                bound={"upper_bound": config.evaluation.max_calibration_error},
                module="pipeline.evaluation.calibration",
            ),
            _intervals("ReviewIntervals"),
        ]
    else:
        model = config_pb2.ModelSpec(signature_name="score_examples")
        metrics = [
            config_pb2.MetricConfig(class_name="ExampleCount"),
            _metric_with_bounds(
                "BitsPerChar",
                "bits_per_char",
                config_pb2.MetricDirection.LOWER_IS_BETTER,
                bound={"upper_bound": config.evaluation.max_bits_per_char},
                tolerance=config.evaluation.tolerance,
                module=_METRICS,
            ),
            config_pb2.MetricConfig(
                class_name="TokenTop1", config=_named("top1", _METRICS), module=_METRICS
            ),
            _intervals("TextIntervals"),
        ]
    return config_pb2.EvalConfig(
        model_specs=[model],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[name]) for name in task.slices),
        ],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )


def _intervals(class_name: str) -> config_pb2.MetricConfig:
    module = "pipeline.evaluation.intervals"
    return config_pb2.MetricConfig(
        class_name=class_name, config=_named("intervals", module), module=module
    )


def _named(name: str, module: str = "") -> str:
    # Evaluator's cache key holds this, but not our module's code.
    return json.dumps({"name": name} | ({"code_sha256": code_sha256(module)} if module else {}))


def _metric_with_bounds(
    class_name: str,
    name: str,
    direction: Any,
    bound: dict[str, float],
    tolerance: float | None = None,
    module: str = "",
) -> config_pb2.MetricConfig:
    """`tolerance`: None for no comparison with the last pushed model."""
    sign = -1 if direction == config_pb2.MetricDirection.HIGHER_IS_BETTER else 1
    threshold = config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(
            **{side: wrappers_pb2.DoubleValue(value=value) for side, value in bound.items()}
        )
    )
    if tolerance is not None:
        threshold.change_threshold.CopyFrom(
            config_pb2.GenericChangeThreshold(
                direction=direction, absolute=wrappers_pb2.DoubleValue(value=sign * tolerance)
            )
        )
    return config_pb2.MetricConfig(
        class_name=class_name,
        config=_named(name, module),
        module=module,
        per_slice_thresholds=[
            config_pb2.PerSliceMetricThreshold(
                slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold
            )
        ],
    )
