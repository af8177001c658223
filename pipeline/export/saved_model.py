"""Export: the trained model as a SavedModel that takes raw text.

Text becomes tokens by Transform's own graph, so that serving cannot differ from training.
`assets.extra/` beside the graph holds requests to warm a server up with, and the limits.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from data import features
from data.tasks import Task
from mamba_model import NextTokenModel, SentimentEnsemble, SentimentModel
from pipeline.config import ExportConfig
from pipeline.export import warm_up
from pipeline.export.next_token_signatures import next_token_signatures
from pipeline.export.sentiment_signatures import sentiment_signatures

_EXTRA = "assets.extra"  # TensorFlow Serving looks for the requests there
_LIMITS = "limits.json"


def save(
    model: SentimentModel | SentimentEnsemble | NextTokenModel,
    task: Task,
    transform_output: tft.TFTransformOutput,
    vocabulary: Sequence[str],
    limits: ExportConfig,
    held_out: Sequence[np.ndarray],
    folder: str,
) -> None:
    """Writes the SavedModel of a trained model to `folder`.

    Args:
        model: with its trained weights.
        task: what it was trained for.
        transform_output: whose graph turns text into tokens.
        vocabulary: the pieces, in the order of their ids.
        limits: of a request.
        held_out: ids (l,) of real texts, for the requests to warm up with.
        folder: made if need be.
    """
    # Without the compiled training step.
    trained, model = model, type(model).from_config(model.get_config())
    model.set_weights(trained.get_weights())
    transform = transform_output.transform_features_layer()

    def to_tokens(text: tf.Tensor) -> tf.RaggedTensor:
        return transform({features.TEXT: text[:, None]})[features.TOKENS]

    if task.head == "sentiment":
        signatures = sentiment_signatures(model, to_tokens, limits)
    else:
        signatures = next_token_signatures(model, task, to_tokens, vocabulary, limits)
    # Not the model itself: of each Keras variable TensorFlow would write two, and have a server
    # restore the one that no function reads (https://github.com/keras-team/keras/issues/19274).
    exported = tf.Module()
    exported.weights = [weight.value for weight in model.weights]
    exported.transform = transform
    tf.saved_model.save(exported, folder, signatures=signatures)
    if "classify" in signatures:
        _name_method(folder, "classify", "tensorflow/serving/classify")

    extra = os.path.join(folder, _EXTRA)
    tf.io.gfile.makedirs(extra)
    warm_up.write(task, signatures, warm_up.samples(held_out, vocabulary), extra)
    with tf.io.gfile.GFile(os.path.join(extra, _LIMITS), "w") as file:
        json.dump(dataclasses.asdict(limits), file, indent=2)


def _name_method(folder: str, signature: str, method: str) -> None:
    """Says which API a signature is for; TensorFlow 2 writes Predict's for all of them."""
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(folder)
    updater.replace_method_name(signature_key=signature, method_name=method)
    updater.save()
