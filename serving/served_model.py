"""One version of a SavedModel: its signatures, run alone or in batches."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that cut words
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from serving.batching import BatchingParameters, batched
from serving.errors import ServingError, deadline_exceeded, of_tensorflow

LIMITS = Path("assets.extra", "limits.json")


@dataclass(frozen=True)
class Signature:
    """A signature's definition and the functions that run it.

    Attributes:
        batched: None where rows are not the first axis of every input and output.
        max_batch_size: rows that go into a batch.
    """

    definition: meta_graph_pb2.SignatureDef
    function: Callable[..., dict[str, tf.Tensor]]
    batched: Callable[[dict[str, tf.Tensor], float], dict[str, tf.Tensor]] | None
    max_batch_size: int


class ServedModel:
    """A loaded SavedModel.

    Args:
        folder: the version's folder; its name is the version's number.
        batching: None runs each request alone.
        slots: held by each run outside a batch, so that these do not crowd the cores.

    Raises:
        Exception: whatever TensorFlow raises for a folder that is no whole SavedModel.
    """

    def __init__(
        self, folder: Path, batching: BatchingParameters | None, slots: threading.Semaphore
    ) -> None:
        self.folder = folder
        self.version = int(folder.name)
        self._slots = slots
        # Kept: a signature does not keep its variables alive by itself.
        self._loaded: Any = tf.saved_model.load(str(folder))
        proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.definitions = next(
            graph.signature_def
            for graph in proto.meta_graphs
            if "serve" in graph.meta_info_def.tags
        )
        limits = folder / LIMITS
        self._limits: dict[str, int] = json.loads(limits.read_text()) if limits.is_file() else {}
        self.signatures = {
            name: self._signature(self.definitions[name], function, batching)
            for name, function in self._loaded.signatures.items()
        }

    def _signature(
        self,
        definition: meta_graph_pb2.SignatureDef,
        function: Callable[..., dict[str, tf.Tensor]],
        batching: BatchingParameters | None,
    ) -> Signature:
        specs = [
            tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype), name=name)
            for name, info in sorted(definition.inputs.items())
        ]
        shapes = [
            *(spec.shape for spec in specs),
            *(tf.TensorShape(info.tensor_shape) for info in definition.outputs.values()),
        ]
        rows_first = all(shape.rank and shape[0] is None for shape in shapes)
        if batching is None or not rows_first:
            return Signature(definition, function, None, 0)
        limit = "max_generation_rows" if "max_new_tokens" in definition.inputs else "max_rows"
        rows = min(batching.max_batch_size, self._limits.get(limit, batching.max_batch_size))
        batching = replace(batching, max_batch_size=rows)
        run = batched(function, specs, sorted(definition.outputs), batching)
        return Signature(definition, function, run, rows)

    def run(
        self, signature: Signature, inputs: dict[str, tf.Tensor], deadline: float
    ) -> dict[str, tf.Tensor]:
        """The outputs of all `inputs`, defaults included.

        Args:
            deadline: seconds since the epoch; a request that is later is not begun.

        Raises:
            ServingError: with the code of the error in the graph; RESOURCE_EXHAUSTED if the
                batches' queue is full; DEADLINE_EXCEEDED.
        """
        rows = self._rows(signature, inputs)
        if signature.batched is not None and rows is not None:
            try:
                return signature.batched(_repeated(inputs, rows), deadline)
            except tf.errors.UnavailableError as error:
                raise ServingError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED, of_tensorflow(error).args[0]
                ) from error
            except tf.errors.OpError:
                pass  # the fault may be another request's: alone, each gets its own answer
        with self._slots:
            if time.time() >= deadline:
                raise deadline_exceeded()
            try:
                return signature.function(**inputs)
            except tf.errors.OpError as error:
                raise of_tensorflow(error) from error

    def _rows(self, signature: Signature, inputs: dict[str, tf.Tensor]) -> int | None:
        """Rows of the request; None where it cannot be batched.

        An input that has a default is a setting: one row of it stands for all rows.
        """
        settings = signature.definition.defaults
        counts = {int(t.shape[0]) for name, t in inputs.items() if t.shape.rank}
        required = {int(t.shape[0]) for name, t in inputs.items() if name not in settings}
        if len(required) != 1 or not counts <= required | {1}:
            return None
        (rows,) = required
        return rows if 0 < rows <= signature.max_batch_size else None


def _repeated(inputs: dict[str, tf.Tensor], rows: int) -> dict[str, tf.Tensor]:
    return {
        name: tensor if tensor.shape[0] == rows else tf.repeat(tensor, rows, axis=0)
        for name, tensor in inputs.items()
    }
