"""What every signature does with a request: reads it, holds it to the limits, cuts it up."""

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

# What is in memory at a time, whatever a request brings. More would not fit the cache either.
_ROWS = 32
_BYTES = 65_536


def texts(name: str = "text") -> tf.TensorSpec:
    """The input of texts or serialized examples, (b,)."""
    return tf.TensorSpec([None], tf.string, name=name)


def text_of(examples: tf.Tensor) -> tf.Tensor:
    """The texts (b,) of serialized tf.Examples (b,)."""
    spec = {features.TEXT: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, spec)[features.TEXT]


def require(holds: tf.Tensor, message: str, *values: tf.Tensor) -> tf.Operation:
    """Fails the request with INVALID_ARGUMENT unless `holds`, (...) bool, is true everywhere."""
    return tf.debugging.Assert(tf.reduce_all(holds), [message, *values])


def within_limits(
    text: tf.Tensor, limits: ExportConfig, *others: tf.Operation, max_rows: int | None = None
) -> tf.Tensor:
    """The texts (b,) as they came, once there are neither too many nor too long ones.

    `others`: more that the request must fulfil; `max_rows`: where not `limits.max_rows`. What
    is calculated from the returned texts waits for all of it; a check beside it would stop the
    request, but not the work.
    """
    max_rows = limits.max_rows if max_rows is None else max_rows
    max_bytes = limits.max_text_bytes
    rows = tf.shape(text)[0]
    lengths = tf.strings.length(text)
    longest = f"text: expected at most {max_bytes} bytes a row, got"
    checks = (
        require(rows <= max_rows, f"expected at most {max_rows} rows, got", rows),
        require(lengths <= max_bytes, longest, tf.reduce_max(lengths)),
        *others,
    )
    with tf.control_dependencies(checks):
        return tf.identity(text)


def in_slices(function: Callable[..., Outputs], text: tf.Tensor, *others: tf.Tensor) -> Outputs:
    """Applies `function` to some rows of text (b,) and `others` (b, ...) after another.

    A slice has as many rows as _ROWS and, by the longest text, _BYTES allow. Outputs are
    (b, ...).
    """
    inputs = (text, *others)
    part = tf.function(function, autograph=False).get_concrete_function(
        *(tf.TensorSpec([None, *each.shape[1:]], each.dtype) for each in inputs)
    )
    rows = tf.shape(text)[0]
    # Not every function can do without a row: no rows are one of zeros, which is cut off again.
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


def dense(tokens: tf.RaggedTensor) -> tf.Tensor:
    """Ids (b, l) with padding on the right; one position at least, so that l is never 0."""
    padded = tokens.to_tensor(PADDING_ID)
    return tf.pad(padded, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(padded)[1])]])
