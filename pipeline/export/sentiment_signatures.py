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
    in_slices,
    text_of,
    texts,
    within_limits,
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

    def answers_within_limits(text: tf.Tensor) -> Outputs:
        return in_slices(answers, within_limits(text, limits))

    def embeddings(text: tf.Tensor) -> Outputs:
        return {"embedding": model.embed(dense(to_tokens(text)))}

    @tf.function(input_signature=[texts()])
    def serving_default(text):
        return answers_within_limits(text)

    @tf.function(input_signature=[texts("examples")])
    def serving_examples(examples):
        return answers_within_limits(text_of(examples))

    # TensorFlow Serving's classifier.cc requires these names, and no other output.
    @tf.function(input_signature=[texts("inputs")])
    def classify(inputs):
        outputs = answers_within_limits(text_of(inputs))
        return {name: outputs[name] for name in ("classes", "scores")}

    @tf.function(input_signature=[texts()])
    def embed(text):
        return in_slices(embeddings, within_limits(text, limits))

    return {
        "serving_default": serving_default,
        "serving_examples": serving_examples,
        "classify": classify,
        "embed": embed,
    }
