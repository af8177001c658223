"""Signatures of a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from mamba_model import TextClassifier, TextClassifierEnsemble
from pipeline.config import ExportConfig
from pipeline.export.requests import (
    Outputs,
    Signatures,
    ToTokens,
    dense,
    signature,
)


def classification_signatures(
    model: TextClassifier | TextClassifierEnsemble,
    classes: Sequence[str],
    to_tokens: ToTokens,
    limits: ExportConfig,
) -> Signatures:
    """The signatures; see the package's docstring.

    Args:
        classes: n names, in the order of the model's logits (b, n).
    """

    def answers(text: tf.Tensor) -> Outputs:
        scores = tf.nn.softmax(model(dense(to_tokens(text))))  # (b, n)
        names = tf.constant(list(classes))
        outputs = {
            "label": tf.gather(names, tf.argmax(scores, axis=1)),  # the first of equal scores
            "classes": tf.tile(names[None], [tf.shape(text)[0], 1]),
            "scores": scores,
        }
        return outputs | ({"probability": scores[:, 1]} if len(classes) == 2 else {})

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
