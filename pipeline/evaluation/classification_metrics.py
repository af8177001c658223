"""Metrics of a classification, from the label and the model's scores of each text.

    accuracy, log_loss     log_loss in nats
    macro_f1, auc          means over the classes; auc of each class against the rest
    calibration_error      of the answer, see calibration.py
    <class>: precision, <class>: recall, <class>: f1, <class>: auc

A metric that is undefined, such as the recall of a class that no text has, is nan.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from tensorflow_model_analysis.metrics import metric_types

from pipeline.evaluation.calibration import bins, calibration_error
from pipeline.evaluation.formulas import area_under_curve, f1, mean, of_class, share
from pipeline.evaluation.intervals import intervals_of
from pipeline.evaluation.sums import RANK, RANKS, Sums, add_texts, of_sums, ratio


class ClassificationMetrics(metric_types.Metric):
    """All metrics of this module, and the bins of the reliability diagram."""

    def __init__(self, classes: Sequence[str], name: str = "classification", code_sha256: str = ""):
        computations = of_sums(add_texts, lambda _, sums: figures(classes, sums) | bins(sums))
        super().__init__(computations, name=name)


class ClassificationIntervals(metric_types.Metric):
    """`<metric>_lower` and `<metric>_upper` of each metric of this module."""

    def __init__(self, classes: Sequence[str], name: str = "intervals", code_sha256: str = ""):
        super().__init__(intervals_of(add_texts, functools.partial(figures, classes)), name=name)


def figures(classes: Sequence[str], sums: Sums) -> dict[str, float]:
    """The metrics by name, from the sums of `add_texts`, which may be empty."""
    counts = [
        [sums.get(f"{what} {c}", 0) for what in ("label", "answer", "right")]
        for c in range(len(classes))
    ]
    of_classes = {
        "precision": [share(right, answered) for _, answered, right in counts],
        "recall": [share(right, labelled) for labelled, _, right in counts],
        "f1": [f1(*of_one) for of_one in counts],
        "auc": [area_under_curve(*ranks) for ranks in _ranks(len(classes), sums)],
    }
    return {
        "accuracy": ratio("correct", "count")(sums),
        "macro_f1": mean(of_classes["f1"]),
        "auc": mean(of_classes["auc"]),
        "log_loss": ratio("log_loss", "count")(sums),
        "calibration_error": calibration_error(sums),
        **{
            of_class(name, metric): values[c]
            for c, name in enumerate(classes)
            for metric, values in of_classes.items()
        },
    }


def _ranks(classes: int, sums: Sums) -> np.ndarray:
    """How many texts have each rank, (classes, 2, ranks): those of other classes, and its own."""
    counts = np.zeros((classes, 2, RANKS + 1), np.int64)
    for name, count in sums.items():
        if name.startswith(RANK):
            c, own, rank = name[len(RANK) :].split()
            counts[int(c), int(own), int(rank)] = count
    return counts
