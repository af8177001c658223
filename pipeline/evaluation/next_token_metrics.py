"""Metrics of a next-token model: ratios of sums over documents.

They read what the model's `score_examples` signature counts in each document.
"""

from __future__ import annotations

from tensorflow_model_analysis.metrics import metric_types

from pipeline.evaluation.intervals import intervals_of
from pipeline.evaluation.sums import Sums, add_documents, of_sums, ratio


class NextTokenMetrics(metric_types.Metric):
    """`bits_per_char` and `top1`."""

    def __init__(self, name: str = "next_token", code_sha256: str = ""):
        super().__init__(of_sums(add_documents, lambda _, sums: figures(sums)), name=name)


class NextTokenIntervals(metric_types.Metric):
    """`<metric>_lower` and `<metric>_upper` of both."""

    def __init__(self, name: str = "intervals", code_sha256: str = ""):
        super().__init__(intervals_of(add_documents, figures), name=name)


def figures(sums: Sums) -> dict[str, float]:
    """The metrics by name, from the sums of `add_documents`, which may be empty.

    `bits_per_char` is the bits of all documents over their characters, `top1` the share of tokens
    that the model held most likely.
    """
    return {
        "bits_per_char": ratio("bits", "characters")(sums),
        "top1": ratio("correct", "tokens")(sums),
    }
