"""What all signatures do with a request: parse it, check its limits, process it in slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from data import features
from pipeline.config import ExportConfig
from pipeline.transform.token_ids import PADDING_ID

Outputs = dict[str, tf.Tensor]
Signatures = dict[str, Callable[..., Outputs]]
ToTokens = Callable[[tf.Tensor], tf.RaggedTensor]  # text (b,) to ids (b, l)

# A slice of a request. It bounds memory; larger slices would not fit the cache either.
_ROWS = 32
_BYTES = 65_536


def texts(name: str = "text") -> tf.TensorSpec:
    """The spec of an input of texts or serialized examples, (b,)."""
    return tf.TensorSpec([None], tf.string, name=name)


def text_of(examples: tf.Tensor) -> tf.Tensor:
    """The texts (b,) of serialized tf.Examples (b,)."""
    spec = {features.TEXT: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, spec)[features.TEXT]


def require(holds: tf.Tensor, message: str, *values: tf.Tensor) -> tf.Operation:
    """Fails the request with INVALID_ARGUMENT unless all of `holds`, (...) bool, is true."""
    return tf.debugging.Assert(tf.reduce_all(holds), [message, *values])


def within_limits(
    text: tf.Tensor, limits: ExportConfig, *others: tf.Operation, max_rows: int | None = None
) -> tf.Tensor:
    """Returns the texts (b,) after checking their number and lengths.

    Work on the returned texts waits for the checks; other checks would fail the request, but not
    prevent the work.

    Args:
        others: further checks of the request.
        max_rows: instead of `limits.max_rows`.
    """
    max_rows = limits.max_rows if max_rows is None else max_rows
    max_bytes = limits.max_text_bytes
    rows = tf.shape(text)[0]
    lengths = tf.strings.length(text)
    longest = f"text: expected at most {max_bytes} bytes per row, got"
    checks = (
        require(rows <= max_rows, f"expected at most {max_rows} rows, got", rows),
        require(lengths <= max_bytes, longest, tf.reduce_max(lengths)),
        *others,
    )
    with tf.control_dependencies(checks):
        return tf.identity(text)


def in_slices(function: Callable[..., Outputs], text: tf.Tensor, *others: tf.Tensor) -> Outputs:
    """Applies `function` to slices of text (b,) and `others` (b, ...), one after another.

    _ROWS, and _BYTES divided by the longest text, limit the rows of a slice. Outputs are (b, ...).
    """
    inputs = (text, *others)
    part = tf.function(function, autograph=False).get_concrete_function(
        *(tf.TensorSpec([None, *each.shape[1:]], each.dtype) for each in inputs)
    )
    rows = tf.shape(text)[0]
    # Some functions need a row: an empty request gets a row of zeros, which is removed at the end.
    added = tf.cast(rows == 0, tf.int32)
    inputs = tuple(tf.pad(each, [[0, added], *[[0, 0]] * (each.shape.rank - 1)]) for each in inputs)
    longest = tf.maximum(1, tf.reduce_max(tf.strings.length(inputs[0])))
    step = tf.clip_by_value(_BYTES // longest, 1, _ROWS)
    slices = (rows + added + step - 1) // step
    arrays = {
        name: tf.TensorArray(
            spec.dtype, slices, element_shape=[None, *spec.shape[1:]], infer_shape=False
        )
        for name, spec in part.structured_outputs.items()
    }

    def body(i: tf.Tensor, arrays: dict[str, tf.TensorArray]) -> tuple[Any, ...]:
        of_slice = part(*(each[i * step : (i + 1) * step] for each in inputs))
        return i + 1, {name: array.write(i, of_slice[name]) for name, array in arrays.items()}

    _, arrays = tf.while_loop(lambda i, _: i < slices, body, (0, arrays))
    return {name: array.concat()[:rows] for name, array in arrays.items()}


def signature(
    function: Callable[[tf.Tensor], Outputs], limits: ExportConfig, name: str = "text"
) -> Callable[..., Outputs]:
    """A signature that applies a function of texts (b,) in slices, within the limits.

    Args:
        name: of its input: "text", or another name for serialized tf.Examples.
    """

    @tf.function(input_signature=[texts(name)])
    def answer(rows: tf.Tensor) -> Outputs:
        text = rows if name == "text" else text_of(rows)
        return in_slices(function, within_limits(text, limits))

    return answer


def dense(tokens: tf.RaggedTensor) -> tf.Tensor:
    """Ids (b, l), padded on the right; l is at least 1."""
    padded = tokens.to_tensor(PADDING_ID)
    return tf.pad(padded, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(padded)[1])]])
