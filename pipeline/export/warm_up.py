"""Warm-up requests for every signature, with short and long texts.

Servers replay them when they load a version, and InfraCheck before a model is pushed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
)

from data import features
from data.tasks import Task
from pipeline.transform import tokenization
from pipeline.transform.token_ids import START_ID

FILE = "tf_serving_warmup_requests"  # TensorFlow Serving's name
_LENGTHS = 4  # texts, from the shortest to the longest
_PROMPT_CHARACTERS = 100
_NEW_TOKENS = 8


def samples(held_out: Sequence[np.ndarray], vocabulary: Sequence[str]) -> list[str]:
    """Decodes _LENGTHS of the texts, ids (l,) each, from the shortest to the longest."""
    by_length = sorted(held_out, key=len)
    places = np.linspace(0, len(by_length) - 1, _LENGTHS).round().astype(int)
    chosen = tf.ragged.constant([by_length[place].tolist() for place in places], tf.int64)
    return [text.decode() for text in tokenization.decode(chosen, vocabulary).numpy()]


def write(task: Task, signatures: Mapping[str, Any], texts: Sequence[str], folder: str) -> None:
    """Writes FILE, a TFRecord of PredictionLogs, to an existing folder.

    Args:
        task: its name is the model's name in requests.
        signatures: tf.functions with input signatures; each gets every text.
        texts: from `samples`.
        folder: the SavedModel's assets.extra.
    """
    with tf.io.TFRecordWriter(os.path.join(folder, FILE)) as file:
        for name, function in signatures.items():
            for log in _logs(task, name, function.input_signature, texts):
                file.write(log.SerializeToString(deterministic=True))


def _logs(
    task: Task, signature: str, specs: Sequence[tf.TensorSpec], texts: Sequence[str]
) -> Iterator[prediction_log_pb2.PredictionLog]:
    model = model_pb2.ModelSpec(name=task.name, signature_name=signature)
    for text in texts:
        log = prediction_log_pb2.PredictionLog()
        if signature == "classify":
            request = classification_pb2.ClassificationRequest(model_spec=model)
            request.input.example_list.examples.append(_example(text))
            log.classify_log.request.CopyFrom(request)
        else:
            inputs = {spec.name: _input(spec, text) for spec in specs}
            if "max_new_tokens" in inputs:
                inputs["text"] = [text[:_PROMPT_CHARACTERS]]
            log.predict_log.request.CopyFrom(
                predict_pb2.PredictRequest(
                    model_spec=model,
                    inputs={
                        spec.name: tf.make_tensor_proto(inputs[spec.name], spec.dtype)
                        for spec in specs
                    },
                )
            )
        yield log


def _input(spec: tf.TensorSpec, text: str) -> Any:
    """One row of an input: the text, a setting that keeps generation short, or a fresh state."""
    settings = {"max_new_tokens": _NEW_TOKENS, "temperature": 0.8, "top_k": 50, "top_p": 0.9,
                "repetition_penalty": 1.1, "seed": 1, "last_token": START_ID}  # fmt: skip
    if spec.name == "text":
        return [text]
    if spec.name == "examples":
        return [_example(text).SerializeToString(deterministic=True)]
    if spec.name in settings:
        return [settings[spec.name]]
    return np.zeros([1, *spec.shape[1:]], spec.dtype.as_numpy_dtype)


def _example(text: str) -> tf.train.Example:
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    return tf.train.Example(features=tf.train.Features(feature={features.TEXT: value}))
