"""Requests to an export's signatures: those of its warm-up file, and others made from them.

The probe loads this file by path, see probe.py. A request is a dict of numpy arrays by input
name; the first axis of each is rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

WARM_UP = "assets.extra/tf_serving_warmup_requests"
MOST_WARM_UP_REQUESTS = 1000  # TensorFlow Serving refuses a file with more
# Inputs that take serialized tf.Examples; any other string input takes text.
_EXAMPLES = ("examples", "inputs")

Request = dict[str, np.ndarray]  # so is an answer, by output name


def read_warm_up(path: str) -> Iterator[tuple[Any, str, Request]]:
    """Yields (PredictionLog, signature's name, request) for each record of the warm-up file.

    Raises:
        ValueError: if a record is neither a predict_log nor a classify_log.
    """
    for record in tf.data.TFRecordDataset([path]).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            inputs = log.predict_log.request.inputs
            request = {name: tf.make_ndarray(value) for name, value in inputs.items()}
            spec = log.predict_log.request.model_spec
        elif kind == "classify_log":
            examples = log.classify_log.request.input.example_list.examples
            serialized = [example.SerializeToString() for example in examples]
            request = {"inputs": np.array(serialized, object)}
            spec = log.classify_log.request.model_spec
        else:
            raise ValueError(f"expected a predict_log or a classify_log, got {kind}")
        yield log, spec.signature_name or "serving_default", request


class Signature:
    """A signature of the loaded export, which answers requests."""

    def __init__(self, name: str, definition: Any, session: Any) -> None:
        self.name = name
        self.definition = definition
        self._session = session
        self.defaults = {key: tf.make_ndarray(value) for key, value in definition.defaults.items()}
        self.texts = [
            key
            for key, info in definition.inputs.items()
            if info.dtype == tf.string.as_datatype_enum and key not in self.defaults
        ]

    @property
    def generates(self) -> bool:
        return "max_new_tokens" in self.definition.inputs

    def __call__(self, request: Request) -> dict[str, np.ndarray]:
        """Answers as a server does, with defaults for missing inputs: arrays by name."""
        answer: Request = self._session.run(
            {key: info.name for key, info in self.definition.outputs.items()},
            {
                self.definition.inputs[key].name: value
                for key, value in (self.defaults | request).items()
            },
        )
        return answer

    def rows(self, request: Request) -> int:
        return len(request[(self.texts or list(request))[0]])

    def with_texts(self, request: Request, texts: Sequence[bytes]) -> Request:
        """Returns the request with other texts, (b,) bytes; other inputs repeat its first row."""
        new = {}
        for key, value in request.items():
            if key in self.defaults:
                new[key] = value[:1]
            elif key in _EXAMPLES:
                new[key] = np.array([_example(text) for text in texts], object)
            elif key in self.texts:
                new[key] = np.array(texts, object)
            else:
                new[key] = np.repeat(value[:1], len(texts), axis=0)
        return new

    def faults(self, request: Request, answer: Request, what: str) -> Iterator[str]:
        """Yields the faults of an answer, one line each that begins with `what`."""
        rows = self.rows(request)
        for key, value in answer.items():
            if value.shape[:1] != (rows,):
                yield f"{what}: expected {rows} rows of {key}, got shape {list(value.shape)}"
            elif value.dtype.kind == "f" and not np.isfinite(value).all():
                yield f"{what}: {key} is not finite"
            elif value.dtype.kind == "O" and not all(map(_is_utf8, value.ravel())):
                yield f"{what}: {key} is not UTF-8"


def differs(answer: Request, other: Request, tolerance: float = 0.0) -> bool:
    """Whether two answers differ; floats by more than the tolerance, relative and absolute."""

    def differ(a: np.ndarray, b: np.ndarray) -> bool:
        if a.shape == b.shape and a.dtype.kind == "f":
            return not np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        return not np.array_equal(a, b)

    return any(differ(value, other[key]) for key, value in answer.items())


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _example(text: bytes) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text]))
    example = tf.train.Example(features=tf.train.Features(feature={"text": feature}))
    return example.SerializeToString()


def prediction_log(log: Any, answer: dict[str, np.ndarray]) -> Any:
    """Returns the PredictionLog with the answer in a server's form."""
    answered = prediction_log_pb2.PredictionLog()
    answered.CopyFrom(log)
    if log.WhichOneof("log_type") == "predict_log":
        outputs = answered.predict_log.response.outputs
        for name, value in answer.items():
            outputs[name].CopyFrom(tf.make_tensor_proto(value))
    else:
        result = answered.classify_log.response.result
        for names, scores in zip(answer["classes"], answer["scores"], strict=True):
            classes = result.classifications.add().classes
            for name, score in zip(names, scores, strict=True):
                classes.add(label=name.decode(), score=score)
    return answered
