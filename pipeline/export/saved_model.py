"""Writes a trained model as a SavedModel that takes raw text.

Transform's graph turns text into tokens, so that serving and training cannot differ.
`assets.extra/` holds warm-up requests and the limits of a request.
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
from mamba_model import NextTokenModel, TextClassifier, TextClassifierEnsemble
from pipeline.config import ExportConfig
from pipeline.export import warm_up
from pipeline.export.classification_signatures import classification_signatures
from pipeline.export.next_token_signatures import next_token_signatures

_EXTRA = "assets.extra"  # where TensorFlow Serving looks for warm-up requests
_LIMITS = "limits.json"


def save(
    model: TextClassifier | TextClassifierEnsemble | NextTokenModel,
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
        task: the task that it was trained for.
        transform_output: its graph turns text into tokens.
        vocabulary: the pieces, in the order of their ids.
        limits: limits of a request.
        held_out: ids (l,) of real texts, for the warm-up requests.
        folder: created if needed.
    """
    # A copy without the compiled training step.
    trained, model = model, type(model).from_config(model.get_config())
    model.set_weights(trained.get_weights())
    transform = transform_output.transform_features_layer()

    def to_tokens(text: tf.Tensor) -> tf.RaggedTensor:
        return transform({features.TEXT: text[:, None]})[features.TOKENS]

    if task.kind == "classification":
        signatures = classification_signatures(model, task.classes, to_tokens, limits)
    else:
        signatures = next_token_signatures(model, task, to_tokens, vocabulary, limits)
    # For the model itself, TensorFlow would write each Keras variable twice, and servers would also
    # restore the copy that no function reads (https://github.com/keras-team/keras/issues/19274).
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
    """Sets a signature's method name; TensorFlow 2 writes Predict's for all signatures."""
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(folder)
    updater.replace_method_name(signature_key=signature, method_name=method)
    updater.save()
