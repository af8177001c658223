"""Metrics of a next-token model that TFMA lacks: ratios of sums over documents.

They read what the model's `score_examples` signature counts in each document.
"""

from __future__ import annotations

from tensorflow_model_analysis.metrics import metric_types

from pipeline.evaluation.sums import add_documents, bits_per_char, of_sums, top1


class BitsPerChar(metric_types.Metric):
    """Bits of all documents over their characters."""

    def __init__(self, name: str = "bits_per_char", code_sha256: str = ""):
        computations = of_sums(add_documents, lambda name, sums: {name: bits_per_char(sums)})
        super().__init__(computations, name=name)


class TokenTop1(metric_types.Metric):
    """The share of tokens that the model held most likely."""

    def __init__(self, name: str = "top1", code_sha256: str = ""):
        super().__init__(of_sums(add_documents, lambda name, sums: {name: top1(sums)}), name=name)
