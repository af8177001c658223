"""The Evaluator's metrics, slices and thresholds.

A classification is judged by the served model's scores, a next-token model by the bits that its
`score_examples` signature counts: a loss per token depends on the vocabulary, bits per character do
not. Without an earlier blessed model, as in a first run, only the fixed bounds count.
"""

from __future__ import annotations

import json
from typing import Any

from tensorflow_model_analysis.proto import config_pb2

from data import features
from pipeline.config import RunConfig
from pipeline.evaluation.formulas import of_class

Thresholds = dict[str, config_pb2.PerSliceMetricThreshold]  # by name of the metric


def eval_config(config: RunConfig, code_sha256: str) -> config_pb2.EvalConfig:
    """The Evaluator's configuration; thresholds apply to all of `eval`, slices only inform.

    Args:
        code_sha256: hash of the code of this project's metrics, which the Evaluator's cache key
            would otherwise lack.
    """
    if config.task.kind == "classification":
        model = config_pb2.ModelSpec(
            signature_name="serving_examples", label_key=features.LABEL, prediction_key="scores"
        )
        thresholds = _of_classification(config)
        module = "pipeline.evaluation.classification_metrics"
        metrics = ("ClassificationMetrics", "ClassificationIntervals")
        arguments: dict[str, Any] = {"classes": list(config.task.classes)}
    else:
        model = config_pb2.ModelSpec(signature_name="score_examples")
        thresholds = _of_next_token(config)
        module = "pipeline.evaluation.next_token_metrics"
        metrics = ("NextTokenMetrics", "NextTokenIntervals")
        arguments = {}
    arguments["code_sha256"] = code_sha256
    return config_pb2.EvalConfig(
        model_specs=[model],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[name]) for name in config.evaluation.slices),
        ],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(class_name="ExampleCount"),
                    *(
                        config_pb2.MetricConfig(
                            class_name=name,
                            module=module,
                            config=json.dumps(arguments | {"name": name}),
                        )
                        for name in metrics
                    ),
                ],
                per_slice_thresholds={
                    name: config_pb2.PerSliceMetricThresholds(thresholds=[threshold])
                    for name, threshold in thresholds.items()
                },
            )
        ],
    )


def _of_classification(config: RunConfig) -> Thresholds:
    """A bound of 0 on a metric that can be undefined is left out, as nan would break it."""
    limits = config.evaluation
    lowest = {"macro_f1": limits.min_macro_f1, "auc": limits.min_auc}
    for name in config.task.classes:
        lowest[of_class(name, "precision")] = limits.min_precision
        lowest[of_class(name, "recall")] = limits.min_recall
    return {
        "accuracy": _threshold(lower_bound=limits.min_accuracy, tolerance=limits.tolerance),
        "log_loss": _threshold(upper_bound=limits.max_log_loss),
        "calibration_error": _threshold(upper_bound=limits.max_calibration_error),
        **{name: _threshold(lower_bound=bound) for name, bound in lowest.items() if bound},
    }


def _of_next_token(config: RunConfig) -> Thresholds:
    limits = config.evaluation
    return {
        "bits_per_char": _threshold(
            upper_bound=limits.max_bits_per_char, tolerance=limits.tolerance
        ),
        "top1": _threshold(lower_bound=limits.min_top1),
    }


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
