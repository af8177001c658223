"""Signatures of a sentiment model."""

from __future__ import annotations

import tensorflow as tf

from data import features
from mamba_model import SentimentModel
from pipeline.config import ExportConfig
from pipeline.export.requests import (
    Outputs,
    Signatures,
    ToTokens,
    dense,
    signature,
)

CLASSES = ("negative", "positive")


def sentiment_signatures(
    model: SentimentModel, to_tokens: ToTokens, limits: ExportConfig
) -> Signatures:
    """The signatures; see the package's docstring."""

    def answers(text: tf.Tensor) -> Outputs:
        probability = tf.sigmoid(model(dense(to_tokens(text))))
        classes = tf.constant([CLASSES])
        return {
            "label": tf.where(features.is_positive(probability), classes[0, 1], classes[0, 0]),
            "probability": probability,
            "classes": tf.tile(classes, [tf.shape(text)[0], 1]),
            "scores": tf.stack([1 - probability, probability], axis=1),
        }

    def embeddings(text: tf.Tensor) -> Outputs:
        return {"embedding": model.embed(dense(to_tokens(text)))}

    # TensorFlow Serving's classifier.cc requires these names, and no other output.
    def classes_and_scores(text: tf.Tensor) -> Outputs:
        outputs = answers(text)
        return {name: outputs[name] for name in ("classes", "scores")}

    return {
        "serving_default": signature(answers, limits),
        "serving_examples": signature(answers, limits, "examples"),
        "classify": signature(classes_and_scores, limits, "inputs"),
        "embed": signature(embeddings, limits),
    }
