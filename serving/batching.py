"""Batching of requests by TensorFlow's batch op, which has TensorFlow Serving's scheduler.

All signatures and versions share one scheduler and its threads. Each signature of each version has
its own queue, so a batch never mixes them.
"""

from __future__ import annotations

import itertools
import os
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from serving.errors import deadline_exceeded

_queues = itertools.count()
Arrays = dict[str, np.ndarray]  # by input or output name; strings are bytes objects
Function = Callable[[Arrays], Arrays]


@dataclass(frozen=True)
class BatchingParameters:
    """TensorFlow Serving's batching parameters.

    Attributes:
        max_batch_size: in rows; a larger request runs alone.
        batch_timeout_micros: how long a request waits for others at most.
        max_enqueued_batches: per signature; a request beyond them is refused.
        num_batch_threads: batches that run at the same time.
    """

    max_batch_size: int = 32
    batch_timeout_micros: int = 1000
    max_enqueued_batches: int = 16
    num_batch_threads: int = os.cpu_count() or 1


def batched(
    function: Function,
    inputs: Sequence[tf.TensorSpec],
    outputs: Sequence[tf.TensorSpec],
    parameters: BatchingParameters,
) -> Callable[[Arrays, float], Arrays]:
    """Wraps a function so that concurrent calls run together as one batch.

    Args:
        function: takes arrays by the names of `inputs` and returns arrays by the names of
            `outputs`, all with rows as their first axis. The caller keeps it alive.
        inputs: specs with None as their first axis.
        outputs: likewise.

    Returns:
        A function of (inputs by name, all with the same number of rows; deadline in seconds since
        the epoch). A batch leaves out rows whose deadline has passed when it starts; their request
        raises DEADLINE_EXCEEDED.

    Raises (the returned function):
        tf.errors.UnavailableError: if the queue is full.
        tf.errors.OpError: in every request of the batch, if `function` raises.
    """
    deadlines = tf.TensorSpec([None], tf.float64, name="deadline")
    names = [spec.name for spec in inputs]
    # TensorFlow keeps `run` until the process ends; a weak reference lets the model go earlier.
    alive = weakref.ref(function)

    def run(deadline: np.ndarray, *arrays: np.ndarray) -> list[np.ndarray]:
        in_time = deadline > time.time()
        kept = {name: array[in_time] for name, array in zip(names, arrays, strict=True)}
        held = alive()
        assert held is not None, "the lease of a request keeps its model alive"
        answers = held(kept)
        return [_in_place(answers[spec.name], in_time) for spec in outputs]

    @tf.function(input_signature=[deadlines, *inputs], autograph=False)
    def run_batch(*tensors: tf.Tensor) -> list[tf.Tensor]:
        return tf.numpy_function(run, tensors, [spec.dtype for spec in outputs])

    concrete = run_batch.get_concrete_function()
    queue = f"queue_{next(_queues)}"

    @tf.function(input_signature=[deadlines, *inputs], autograph=False)
    def enqueue(*tensors: tf.Tensor) -> list[tf.Tensor]:
        return tf.raw_ops.BatchFunction(
            in_tensors=tensors,
            captured_tensors=concrete.captured_inputs,
            f=concrete,
            num_batch_threads=parameters.num_batch_threads,
            max_batch_size=parameters.max_batch_size,
            batch_timeout_micros=parameters.batch_timeout_micros,
            max_enqueued_batches=parameters.max_enqueued_batches,
            allowed_batch_sizes=[],
            Tout=[spec.dtype for spec in outputs],
            # Equal parameters share one scheduler and its threads.
            shared_name=f"serving_{parameters}",
            container="",
            batching_queue=queue,
            enable_large_batch_splitting=False,
        )

    def call(arrays: Arrays, deadline: float) -> Arrays:
        rows = len(arrays[names[0]])
        answers = enqueue(np.full(rows, deadline), *(arrays[name] for name in names))
        if time.time() >= deadline:
            raise deadline_exceeded()
        return {spec.name: answer.numpy() for spec, answer in zip(outputs, answers, strict=True)}

    return call


def _in_place(answers: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Puts the answers into the rows where `kept` is true, and zeros or b"" into the others."""
    empty = b"" if answers.dtype == object else 0
    whole = np.full((len(kept), *answers.shape[1:]), empty, answers.dtype)
    whole[kept] = answers
    return whole
