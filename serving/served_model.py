"""One version of a SavedModel: its signatures, run alone or in batches."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that cut words
from tensorflow.core.protobuf import meta_graph_pb2

from serving.batching import Arrays, BatchingParameters, Function, batched
from serving.errors import ServingError, deadline_exceeded, of_tensorflow

LIMITS = Path("assets.extra", "limits.json")
_INIT_OP = "__saved_model_init_op"  # a signature without outputs, for loaders only


@dataclass(frozen=True)
class Signature:
    """A signature's definition and the functions that run it, arrays to arrays by name.

    Attributes:
        batched: None where rows are not the first axis of every input and output.
        max_batch_size: rows that go into a batch.
    """

    definition: meta_graph_pb2.SignatureDef
    function: Function
    batched: Callable[[Arrays, float], Arrays] | None
    max_batch_size: int


class ServedModel:
    """A SavedModel, loaded as TensorFlow Serving loads it: its graph into a session.

    So what does not load or run there does not here; and when the session goes, so does its
    memory, of which `tf.saved_model.load` keeps 100 MiB and more for good.

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
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        self.definitions = loaded.signature_def
        limits = folder / LIMITS
        self._limits: dict[str, int] = json.loads(limits.read_text()) if limits.is_file() else {}
        self.signatures = {
            name: self._signature(definition, batching)
            for name, definition in self.definitions.items()
            if name != _INIT_OP
        }

    def _signature(
        self,
        definition: meta_graph_pb2.SignatureDef,
        batching: BatchingParameters | None,
    ) -> Signature:
        inputs, outputs = _specs(definition.inputs), _specs(definition.outputs)
        names = {name: info.name for name, info in definition.inputs.items()}
        fetches = {name: info.name for name, info in definition.outputs.items()}

        def function(arrays: Arrays) -> Arrays:
            feeds = {names[name]: array for name, array in arrays.items()}
            found: Arrays = self._session.run(fetches, feeds)
            return found

        rows_first = all(spec.shape.rank and spec.shape[0] is None for spec in inputs + outputs)
        if batching is None or not rows_first:
            return Signature(definition, function, None, 0)
        limit = "max_generation_rows" if "max_new_tokens" in definition.inputs else "max_rows"
        rows = min(batching.max_batch_size, self._limits.get(limit, batching.max_batch_size))
        batching = replace(batching, max_batch_size=rows)
        run = batched(function, inputs, outputs, batching)
        return Signature(definition, function, run, rows)

    def run(self, signature: Signature, inputs: Arrays, deadline: float) -> Arrays:
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
                return signature.function(inputs)
            except tf.errors.OpError as error:
                raise of_tensorflow(error) from error

    def _rows(self, signature: Signature, inputs: Arrays) -> int | None:
        """Rows of the request; None where it cannot be batched.

        An input that has a default is a setting: one row of it stands for all rows.
        """
        settings = signature.definition.defaults
        counts = {len(array) for array in inputs.values() if array.ndim}
        required = {len(array) for name, array in inputs.items() if name not in settings}
        if len(required) != 1 or not counts <= required | {1}:
            return None
        (rows,) = required
        return rows if 0 < rows <= signature.max_batch_size else None


def _specs(infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> list[tf.TensorSpec]:
    return [
        tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype), name=name)
        for name, info in sorted(infos.items())
    ]


def _repeated(inputs: Arrays, rows: int) -> Arrays:
    return {
        name: array if len(array) == rows else np.repeat(array, rows, axis=0)
        for name, array in inputs.items()
    }
