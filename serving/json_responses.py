"""Messages to responses in TensorFlow Serving's JSON, as its api_rest.md describes it."""

from __future__ import annotations

import base64
import inspect
import json
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_serving.apis import classification_pb2, predict_pb2

from serving.errors import invalid_argument
from serving.json_requests import COLUMN


def predict_json(response: predict_pb2.PredictResponse, form: str) -> dict[str, Any]:
    """A Predict response as JSON values, in the format of its request."""
    arrays = {name: tf.make_ndarray(proto) for name, proto in sorted(response.outputs.items())}
    values = {name: _values(name, array) for name, array in arrays.items()}
    only = next(iter(values)) if len(values) == 1 else None
    if form == COLUMN:
        return {"outputs": values[only] if only else values}
    rows = {array.shape[0] if array.ndim else None for array in arrays.values()}
    if len(rows) != 1 or None in rows:
        raise invalid_argument(
            "the outputs differ in their batch size; ask for them by 'inputs', not 'instances'"
        )
    if only:
        return {"predictions": values[only]}
    (count,) = rows
    return {
        "predictions": [{name: values[name][row] for name in values} for row in range(count or 0)]
    }


def _values(name: str, array: np.ndarray) -> Any:
    """Nested lists of what JSON has. Names ending in _bytes hold bytes, others text."""
    if array.dtype == object:
        of = _base64 if name.endswith("_bytes") else _text
        flat = [of(item) for item in array.ravel()]
        return np.array([*flat, None], object)[:-1].reshape(array.shape).tolist()
    if array.dtype == np.float32:  # 0.2, and not the double nearest to the float
        return array.astype(str).astype(np.float64).tolist()
    return array.tolist()


def _base64(item: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(item).decode()}


def _text(item: bytes) -> str:
    return item.decode("utf-8", "replace")


def classify_json(response: classification_pb2.ClassificationResponse) -> dict[str, Any]:
    """Label and score of each class of each example. The key is `results`, as in TensorFlow
    Serving's code; its page has `result`."""
    return {
        "results": [
            [[c.label, _values("", np.array(c.score, np.float32))] for c in of_example.classes]
            for of_example in response.result.classifications
        ]
    }


def message_json(message: Message) -> dict[str, Any]:
    """A message as JSON values, fields that have their default included."""
    options = inspect.signature(json_format.MessageToDict).parameters
    print_all = "always_print_fields_with_no_presence"  # protobuf 5 and later
    if print_all not in options:
        print_all = "including_default_value_fields"
    return json_format.MessageToDict(message, preserving_proto_field_name=True, **{print_all: True})


def encoded(values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False, check_circular=False).encode()
