"""Batches of requests by TensorFlow's batch op, whose scheduler is TensorFlow Serving's too.

All signatures and versions share one scheduler and its threads; each has a queue of its
own, so that a batch holds requests of one signature of one version.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from serving.errors import deadline_exceeded

_queues = itertools.count()
Function = Callable[..., dict[str, tf.Tensor]]


@dataclass(frozen=True)
class BatchingParameters:
    """TensorFlow Serving's batching parameters.

    Attributes:
        max_batch_size: rows; a request of more is run alone.
        batch_timeout_micros: the longest that a request waits for others.
        max_enqueued_batches: of each signature; a request beyond them is refused.
        num_batch_threads: batches that run at a time.
    """

    max_batch_size: int = 32
    batch_timeout_micros: int = 1000
    max_enqueued_batches: int = 16
    num_batch_threads: int = os.cpu_count() or 1


def batched(
    function: Function,
    inputs: Sequence[tf.TensorSpec],
    outputs: Sequence[str],
    parameters: BatchingParameters,
) -> Callable[[dict[str, tf.Tensor], float], dict[str, tf.Tensor]]:
    """A function that runs its rows together with those of other threads.

    Args:
        function: takes tensors by the names of `inputs`, all with rows as their first axis.
        inputs: specs, whose first axis is None.

    Returns:
        A function of (inputs by name, all with as many rows; deadline in seconds since the
        epoch). Rows whose deadline has passed when their batch begins are left out of it,
        and their request raises DEADLINE_EXCEEDED.

    Raises (the returned function):
        tf.errors.UnavailableError: if the queue is full.
        tf.errors.OpError: whatever `function` raises, in every request of the batch.
    """
    deadlines = tf.TensorSpec([None], tf.float64, name="deadline")
    names = [spec.name for spec in inputs]

    @tf.function(input_signature=[deadlines, *inputs], autograph=False)
    def run(deadline: tf.Tensor, *tensors: tf.Tensor) -> list[tf.Tensor]:
        in_time = deadline > tf.timestamp()
        kept = [tf.boolean_mask(tensor, in_time) for tensor in tensors]
        answers = function(**dict(zip(names, kept, strict=True)))
        # Each row's place among those kept; rows left out get a row of zeros.
        place = tf.where(in_time, tf.cumsum(tf.cast(in_time, tf.int32)) - 1, tf.shape(kept[0])[0])
        return [_with_a_row_of_zeros(answers[name], place) for name in outputs]

    concrete = run.get_concrete_function()
    queue = f"queue_{next(_queues)}"

    @tf.function(input_signature=[deadlines, *inputs], autograph=False)
    def enqueue(deadline: tf.Tensor, *tensors: tf.Tensor) -> list[tf.Tensor]:
        return tf.raw_ops.BatchFunction(
            in_tensors=[deadline, *tensors],
            captured_tensors=concrete.captured_inputs,
            f=concrete,
            num_batch_threads=parameters.num_batch_threads,
            max_batch_size=parameters.max_batch_size,
            batch_timeout_micros=parameters.batch_timeout_micros,
            max_enqueued_batches=parameters.max_enqueued_batches,
            allowed_batch_sizes=[],
            Tout=[output.dtype for output in concrete.outputs],
            # One scheduler, with its threads, for equal parameters.
            shared_name=f"serving_{parameters}",
            container="",
            batching_queue=queue,
            enable_large_batch_splitting=False,
        )

    def call(tensors: dict[str, tf.Tensor], deadline: float) -> dict[str, tf.Tensor]:
        rows = tf.shape(tensors[names[0]])[:1]
        answers = enqueue(
            tf.fill(rows, tf.constant(deadline, tf.float64)), *(tensors[name] for name in names)
        )
        if time.time() >= deadline:
            raise deadline_exceeded()
        return dict(zip(outputs, answers, strict=True))

    return call


def _with_a_row_of_zeros(tensor: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    zeros = tf.zeros(tf.concat([[1], tf.shape(tensor)[1:]], axis=0), tensor.dtype)
    return tf.gather(tf.concat([tensor, zeros], axis=0), place)
