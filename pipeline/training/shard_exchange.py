"""Distributes the parts of a batch to workers, with the same bits as on a single worker.

A batch is split into the same parts on any number of workers. Each worker computes some
parts and gathers the other workers' gradients, part by part. An all-reduce would instead sum
them in an order that depends on the number of workers. So all workers add the same numbers
in the same order, and take the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.training.workers import Workers

# Seconds to wait at a step for a worker that is alive but slow, as it may still compile or
# wait for a disk. Dead workers are noticed within seconds.
_PATIENCE = 600
_GROUP = 1_000  # above the group keys that the strategy uses itself


class ShardExchange:
    """`spread` of `CompiledTraining.compile`, for the workers of a training.

    Create it before TensorFlow computes anything in this process, as that starts the runtime
    of collective operations. Waits for the other workers without a time limit.
    """

    def __init__(self, workers: Workers):
        self._workers = workers
        self._gathers = 0
        # The strategy starts the server, and detects dead workers by missing heartbeats.
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy(
            tf.distribute.cluster_resolver.SimpleClusterResolver(
                tf.train.ClusterSpec({"worker": list(workers.addresses)}),
                task_type="worker",
                task_id=workers.rank,
                rpc_layer="grpc",
            )
        )

    def __call__(self, compute: Callable[[int], Any], like: Sequence[Any]) -> list[Any]:
        """Computes this worker's shards, and returns the results of all shards."""
        count = len(self._workers.names)
        shares = [
            range(len(like) * worker // count, len(like) * (worker + 1) // count)
            for worker in range(count)
        ]
        shapes = [[tuple(tensor.shape) for tensor in _tensors(each)] for each in like]
        sizes = [[int(np.prod(shape)) for shape in of_shard] for of_shard in shapes]
        longest = max(sum(sum(sizes[i]) for i in share) for share in shares)

        own = [
            tf.reshape(t, [-1]) for i in shares[self._workers.rank] for t in _tensors(compute(i))
        ]
        vector = tf.concat([*own, tf.zeros([0])], 0)
        used = sum(sum(sizes[i]) for i in shares[self._workers.rank])
        vectors = self.gather(tf.pad(vector, [[0, longest - used]]))

        results = []
        for worker, share in enumerate(shares):
            start = 0
            for i in share:
                parts = tf.split(vectors[worker, start : start + sum(sizes[i])], sizes[i])
                start += sum(sizes[i])
                flat = iter(map(tf.reshape, parts, shapes[i]))
                results.append(
                    tf.nest.map_structure(lambda x, f=flat: None if x is None else next(f), like[i])
                )
        return results

    def gather(self, vector: tf.Tensor) -> tf.Tensor:
        """The vectors (n,) of all workers as (workers, n). All must call it, in the same order.

        Raises:
            tf.errors.OpError: if a worker is lost; see `is_loss`.
        """
        self._gathers += 1
        return tf.raw_ops.CollectiveGatherV2(
            input=vector[None],
            group_size=len(self._workers.names),
            group_key=_GROUP,
            instance_key=self._gathers,
            ordering_token=[],
            timeout_seconds=_PATIENCE,
        )


def is_loss(error: tf.errors.OpError) -> bool:
    """Whether an operation failed because another worker is lost."""
    gone = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError)
    return isinstance(error, gone) or "ollective ops is aborted" in str(error)


def _tensors(structure: Any) -> list[tf.Tensor]:
    return [each for each in tf.nest.flatten(structure) if each is not None]
