"""The Evaluator's metrics, slices and thresholds.

Reviews are judged by the served model's probability, the Bible by the bits that the model's
`score_examples` signature counts: a loss per token depends on the vocabulary, bits per character
do not. Without an earlier blessed model, as in a first run, only the fixed bounds count.
"""

from __future__ import annotations

import json
from typing import Any

from tensorflow_model_analysis.proto import config_pb2

from data.tasks import TASKS
from pipeline.config import RunConfig

_NEXT_TOKEN = "pipeline.evaluation.next_token_metrics"


def eval_config(config: RunConfig, code_sha256: str) -> config_pb2.EvalConfig:
    """The Evaluator's configuration; thresholds apply to all of `eval`, slices only inform.

    Args:
        code_sha256: hash of the code of this project's metrics, which the Evaluator's cache key
            would otherwise lack.
    """
    task = TASKS[config.task]
    limits = config.evaluation

    def metric(class_name: str, name: str, module: str = "", **threshold: Any) -> Any:
        named = {"name": name} | ({"code_sha256": code_sha256} if module else {})
        return config_pb2.MetricConfig(
            class_name=class_name,
            config=json.dumps(named),
            module=module,
            per_slice_thresholds=[_threshold(**threshold)] if threshold else [],
        )

    metrics = [config_pb2.MetricConfig(class_name="ExampleCount")]
    if task.head == "sentiment":
        model = config_pb2.ModelSpec(
            signature_name="serving_examples",
            label_key=task.label,
            prediction_key="probability",
        )
        metrics += [
            metric(
                "BinaryAccuracy",
                "accuracy",
                lower_bound=limits.min_accuracy,
                tolerance=limits.tolerance,
            ),
            metric("AUC", "auc"),
            metric("BinaryCrossentropy", "log_loss"),
            metric(
                "CalibrationError",
                "calibration_error",
                "pipeline.evaluation.calibration",
                upper_bound=limits.max_calibration_error,
            ),
            metric("ReviewIntervals", "intervals", "pipeline.evaluation.intervals"),
        ]
    else:
        model = config_pb2.ModelSpec(signature_name="score_examples")
        metrics += [
            metric(
                "BitsPerChar",
                "bits_per_char",
                _NEXT_TOKEN,
                upper_bound=limits.max_bits_per_char,
                tolerance=limits.tolerance,
            ),
            metric("TokenTop1", "top1", _NEXT_TOKEN),
            metric("TextIntervals", "intervals", "pipeline.evaluation.intervals"),
        ]
    return config_pb2.EvalConfig(
        model_specs=[model],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[name]) for name in task.slices),
        ],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )


def _threshold(
    lower_bound: float | None = None,
    upper_bound: float | None = None,
    tolerance: float | None = None,
) -> config_pb2.PerSliceMetricThreshold:
    """A bound of a metric over all examples.

    Args:
        lower_bound: given if higher is better.
        upper_bound: given if lower is better.
        tolerance: how much worse than the last pushed model; None: no comparison.
    """
    direction = config_pb2.MetricDirection
    name, bound, better, sign = "upper_bound", upper_bound, direction.LOWER_IS_BETTER, 1
    if lower_bound is not None:
        name, bound, better, sign = "lower_bound", lower_bound, direction.HIGHER_IS_BETTER, -1
    threshold: dict[str, Any] = {"value_threshold": {name: {"value": bound}}}
    if tolerance is not None:
        change = {"direction": better, "absolute": {"value": sign * tolerance}}
        threshold["change_threshold"] = change
    return config_pb2.PerSliceMetricThreshold(slicing_specs=[{}], threshold=threshold)
