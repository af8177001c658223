"""JSON of TensorFlow Serving's REST API, as its api_rest.md describes it, to and from messages.

It accepts two more things. Inputs with a default may be left out; TensorFlow Serving fills in
defaults for gRPC only. And a plain list of `instances` or `inputs` is taken as the only input
without a default.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, predict_pb2

from serving.errors import invalid_argument
from serving.json_size import MOST_ROWS, check_size
from serving.tensors import VALUE_FIELDS, check_names, json_values

ROW, COLUMN = "instances", "inputs"
_LONGEST_EXCERPT = 80  # characters of a value in an error


def parse(body: bytes) -> dict[str, Any]:
    """Parses a request's JSON object; NaN and Infinity are numbers.

    Raises:
        ServingError: INVALID_ARGUMENT, as all functions here.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    check_size(body)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:  # also raised if the bytes are not UTF-8
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {_excerpt(document)} Is not object")
    if not isinstance(document.get("signature_name", ""), str):
        raise invalid_argument("'signature_name' key must be a string value.")
    return document


def fill_predict_request(
    document: Mapping[str, Any],
    signature: meta_graph_pb2.SignatureDef,
    request: predict_pb2.PredictRequest,
) -> str:
    """Fills in the inputs of a Predict request; returns its format, ROW or COLUMN."""
    if ROW in document and COLUMN in document:
        raise invalid_argument(
            f"Not formatted correctly expecting only one of '{COLUMN}' or '{ROW}' keys to exist"
        )
    if ROW in document:
        columns = _columns(document[ROW], signature)
    elif COLUMN in document:
        columns = document[COLUMN]
        if not isinstance(columns, dict) or _is_base64(columns):
            columns = {_only_input(signature, COLUMN): columns}
    else:
        raise invalid_argument(f"Missing '{COLUMN}' or '{ROW}' key")
    check_names(signature, columns.keys())
    for name, value in columns.items():
        if isinstance(value, list) and len(value) > MOST_ROWS:
            raise invalid_argument(
                f"input {name!r}: {len(value):,} rows; at most {MOST_ROWS:,} are read: send fewer"
                " per request"
            )
    for name, value in columns.items():
        request.inputs[name].CopyFrom(_tensor(name, value, signature.inputs[name].dtype))
    return ROW if ROW in document else COLUMN


def _columns(rows: Any, signature: meta_graph_pb2.SignatureDef) -> dict[str, list[Any]]:
    """Turns rows of named values into a list per name."""
    if not isinstance(rows, list) or not rows:
        raise invalid_argument(f"Expecting '{ROW}' to be a list of at least one value")
    named = [isinstance(row, dict) and not _is_base64(row) for row in rows]
    if not any(named):
        return {_only_input(signature, ROW): rows}
    names = set(rows[named.index(True)])
    for i, row in enumerate(rows):
        if not named[i] or set(row) != names:
            raise invalid_argument(
                f"Failed to process element: {i} of '{ROW}' list. JSON object:"
                f" {_excerpt(row)} keys must be equal to: {','.join(sorted(names))}"
            )
    return {name: [row[name] for row in rows] for name in names}


def _only_input(signature: meta_graph_pb2.SignatureDef, key: str) -> str:
    required = sorted(set(signature.inputs) - set(signature.defaults))
    if len(required) != 1:
        raise invalid_argument(
            f"{key} is a plain value/list, but expecting an object as multiple input tensors"
            f" are required: {','.join(required)}"
        )
    return required[0]


def _tensor(name: str, value: Any, dtype: int) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=dtype)
    field = VALUE_FIELDS.get(tf.as_dtype(dtype))
    if field is None:
        raise invalid_argument(
            f"input {name!r}: JSON has no {tf.as_dtype(dtype).name}; use gRPC for it"
        )
    shape = _shape(value)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    values: list[Any] = []
    try:
        _flatten(value, shape, 0, tf.as_dtype(dtype), values)
        getattr(proto, field).extend(values)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"input {name!r}: {error}") from error
    return proto


def _shape(value: Any) -> list[int]:
    sizes = []
    while isinstance(value, list):
        sizes.append(len(value))
        value = value[0] if value else None
    return sizes


def _flatten(value: Any, shape: list[int], level: int, dtype: tf.DType, to: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise ValueError(
                f"JSON Value: {_excerpt(value)} found at incorrect level: {level + 1} in the"
                f" JSON DOM. Expected at level: {len(shape)}"
            )
        to.append(_scalar(value, dtype))
        return
    if level >= len(shape):
        raise ValueError(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise ValueError(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size:"
            f" {shape[level]}"
        )
    for item in value:
        _flatten(item, shape, level + 1, dtype, to)


def _scalar(value: Any, dtype: tf.DType) -> Any:
    """A JSON value for the typed field of a TensorProto; ValueError if it has another type."""
    if dtype == tf.string:
        if isinstance(value, str):
            return value.encode()  # ValueError for half a surrogate pair
        if _is_base64(value):
            return _decoded(value)
    elif dtype == tf.bool:
        if isinstance(value, bool):
            return value
    elif isinstance(value, bool):
        pass
    elif dtype.is_integer:
        if isinstance(value, int) and dtype.min <= value <= dtype.max:
            return value
    elif isinstance(value, int | float):
        mantissa = np.finfo(dtype.as_numpy_dtype).nmant + 1
        if isinstance(value, int) and abs(value) >= 2**mantissa:
            raise ValueError(
                f"Cannot convert JSON value: {_excerpt(value)} to {dtype.name} without loss of"
                " precision."
            )
        if not np.isfinite(value) or abs(value) <= dtype.max:
            return value
    raise ValueError(
        f"JSON Value: {_excerpt(value)} Type: {_type_name(value)} is not of expected type:"
        f" {dtype.name}"
    )


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def _decoded(value: dict[str, str]) -> bytes:
    text = value["b64"]
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("Unable to base64 decode") from error


def _type_name(value: Any) -> str:
    names = {
        bool: "Bool", int: "Number", float: "Number", str: "String", list: "Array", dict: "Object"
    }  # fmt: skip
    return names.get(type(value), "Null")


def _excerpt(value: Any) -> str:
    return json.dumps(value)[:_LONGEST_EXCERPT]


def fill_examples(document: Mapping[str, Any], to: input_pb2.Input) -> None:
    """Fills in the Examples of a Classify request."""
    examples = document.get("examples")
    if not isinstance(examples, list) or not examples:
        raise invalid_argument("Expecting 'examples' to be a list of at least one example")
    if "context" in document:
        _fill_example(document["context"], to.example_list_with_context.context)
        added = to.example_list_with_context.examples
    else:
        added = to.example_list.examples
    for example in examples:
        _fill_example(example, added.add())


def _fill_example(values: Any, example: example_pb2.Example) -> None:
    if not isinstance(values, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {_type_name(values)}")
    for name, content in values.items():
        feature = example.features.feature[_utf8(name)]
        for value in content if isinstance(content, list) else [content]:
            _add_value(feature, name, value)


def _utf8(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise invalid_argument(f"Feature: {name!r}: its name is not valid Unicode") from error
    return name


def _add_value(feature: feature_pb2.Feature, name: str, value: Any) -> None:
    item: bytes | int | float
    try:
        if isinstance(value, str):
            kind, item = "bytes_list", value.encode()
        elif _is_base64(value):
            kind, item = "bytes_list", _decoded(value)
        elif isinstance(value, bool | int):
            kind, item = "int64_list", int(value)
        elif isinstance(value, float):
            kind, item = "float_list", value
        else:
            raise ValueError(f"has element with unexpected JSON type: {_type_name(value)}")
        if feature.WhichOneof("kind") not in (None, kind):
            raise ValueError(f"has element of another type than {feature.WhichOneof('kind')}")
        getattr(feature, kind).value.append(item)
    except ValueError as error:
        raise invalid_argument(f"Feature: {name} {error}") from error


def predict_json(response: predict_pb2.PredictResponse, form: str) -> dict[str, Any]:
    """A Predict response as JSON values, in the format of its request."""
    arrays = {name: tf.make_ndarray(proto) for name, proto in sorted(response.outputs.items())}
    values = {name: json_values(name, array) for name, array in arrays.items()}
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


def classify_json(response: classification_pb2.ClassificationResponse) -> dict[str, Any]:
    """Label and score of each class of each example.

    The key is `results`, as in TensorFlow Serving's code; api_rest.md says `result`.
    """
    return {
        "results": [
            [[c.label, json_values("", np.array(c.score, np.float32))] for c in of_example.classes]
            for of_example in response.result.classifications
        ]
    }


def message_json(message: Message) -> dict[str, Any]:
    """A message as JSON values, including fields that have their default."""
    options = inspect.signature(json_format.MessageToDict).parameters
    print_all = "always_print_fields_with_no_presence"  # protobuf 5 and later
    if print_all not in options:
        print_all = "including_default_value_fields"
    return json_format.MessageToDict(message, preserving_proto_field_name=True, **{print_all: True})


def encoded(values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False, check_circular=False).encode()
