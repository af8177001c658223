"""Converts TensorProtos to arrays and back, checked against a SignatureDef."""

from __future__ import annotations

import base64
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.errors import invalid_argument

# Limits the memory of a small request: a TensorProto with a shape and one value means a tensor
# filled with that value.
_MOST_ELEMENTS = 1 << 24

# The field of TensorProto that holds the values of a dtype, as Tensor::AsProtoField writes them.
VALUE_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int32: "int_val",
    tf.int16: "int_val",
    tf.int8: "int_val",
    tf.uint8: "int_val",
    tf.string: "string_val",
    tf.int64: "int64_val",
    tf.bool: "bool_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
}


def decode_inputs(
    signature: meta_graph_pb2.SignatureDef, protos: Mapping[str, tensor_pb2.TensorProto]
) -> dict[str, np.ndarray]:
    """The arrays of a request; the signature's defaults fill in missing inputs.

    Strings are bytes objects.

    Raises:
        ServingError: INVALID_ARGUMENT if an input is unknown, missing or malformed, or if its
            dtype or shape differs from the signature's.
    """
    check_names(signature, protos.keys())
    inputs = {name: decode(name, proto, signature.inputs[name]) for name, proto in protos.items()}
    return with_defaults(signature, inputs)


def with_defaults(
    signature: meta_graph_pb2.SignatureDef, inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """`inputs`, and the signature's defaults for missing ones."""
    defaults = {
        name: decode(name, proto, signature.inputs[name])
        for name, proto in signature.defaults.items()
        if name not in inputs
    }
    return {**inputs, **defaults}


def check_names(signature: meta_graph_pb2.SignatureDef, names: Collection[str]) -> None:
    """Raises INVALID_ARGUMENT, in TensorFlow Serving's words, if inputs are unknown or missing."""
    sent, known = set(names), set(signature.inputs)
    extra = sent - known
    missing = known - sent - set(signature.defaults)
    if extra or missing:
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(known)}"
            f" len({{{_joined(sent)}}}) != len({{{_joined(known)}}})."
            f" Sent extra: {{{_joined(extra)}}}. Missing but required: {{{_joined(missing)}}}."
        )


def _joined(names: set[str]) -> str:
    return ",".join(sorted(names))


def decode(
    name: str, proto: tensor_pb2.TensorProto, expected: meta_graph_pb2.TensorInfo
) -> np.ndarray:
    """The values of a TensorProto, parsed by TensorFlow's C++ code."""
    if proto.dtype != expected.dtype:
        raise invalid_argument(
            f"input {name!r}: expected dtype {_dtype_name(expected.dtype)},"
            f" got {_dtype_name(proto.dtype)}"
        )
    _check_shape(name, proto.tensor_shape, expected.tensor_shape)
    dtype = tf.as_dtype(proto.dtype)
    try:
        tensor = tf.io.parse_tensor(proto.SerializeToString(), dtype)
    except tf.errors.OpError as error:
        raise invalid_argument(f"input {name!r}: the tensor's values are malformed") from error
    return np.asarray(tensor.numpy(), dtype.as_numpy_dtype)


def _check_shape(name: str, shape: tf.TensorShape, expected: tf.TensorShape) -> None:
    sizes = [dim.size for dim in shape.dim]
    wanted = [dim.size for dim in expected.dim]
    fits = expected.unknown_rank or (
        len(sizes) == len(wanted)
        and all(want in (-1, size) for size, want in zip(sizes, wanted, strict=True))
    )
    if shape.unknown_rank or not fits or min(sizes, default=0) < 0:
        got = "unknown" if shape.unknown_rank else sizes
        raise invalid_argument(f"input {name!r}: expected shape {wanted}, got {got}")
    if math.prod(sizes) > _MOST_ELEMENTS:
        raise invalid_argument(
            f"input {name!r}: expected at most {_MOST_ELEMENTS} elements, got shape {sizes}"
        )


def _dtype_name(number: int) -> str:
    try:
        return tf.as_dtype(number).name
    except TypeError:
        return f"number {number}"


def encode(array: np.ndarray, dtype: tf.DType) -> tensor_pb2.TensorProto:
    """A TensorProto with its values in the typed field, which TensorFlow Serving's clients read."""
    field = VALUE_FIELDS.get(dtype)
    if field is None:
        return tf.make_tensor_proto(array, dtype)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, field).extend(array.ravel().tolist())
    return proto


def json_values(name: str, array: np.ndarray) -> Any:
    """Nested lists of JSON values; outputs named *_bytes become base64, other strings text."""
    if array.dtype == object:
        of = _base64 if name.endswith("_bytes") else _text
        flat = [of(item) for item in array.ravel()]
        return np.array([*flat, None], object)[:-1].reshape(array.shape).tolist()
    if array.dtype == np.float32:  # 0.2 instead of 0.20000000298023224
        return array.astype(str).astype(np.float64).tolist()
    return array.tolist()


def _base64(item: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(item).decode()}


def _text(item: bytes) -> str:
    return item.decode("utf-8", "replace")


def selected_outputs(signature: meta_graph_pb2.SignatureDef, output_filter: list[str]) -> list[str]:
    """Names of the outputs that a request asks for: all if it names none.

    Raises:
        ServingError: INVALID_ARGUMENT if a name is unknown or repeated.
    """
    for i, name in enumerate(output_filter):
        if name not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {name} Outputs expected to be in"
                f" the set {{{_joined(set(signature.outputs))}}}."
            )
        if name in output_filter[:i]:
            raise invalid_argument(f"duplicate output tensor alias: {name}")
    return output_filter or sorted(signature.outputs)
