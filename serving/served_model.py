"""A SavedModel in memory: its signatures, each run alone or in batches."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that split text into words
from tensorflow.core.protobuf import meta_graph_pb2

from serving import checksums
from serving.batching import Arrays, BatchingParameters, Function, batched
from serving.errors import ServingError, deadline_exceeded, invalid_argument, of_tensorflow
from serving.tensors import check_names, with_defaults

NO_DEADLINE = float("inf")
_LIMITS = "assets.extra/limits.json"
_INIT_OP = "__saved_model_init_op"  # a signature without outputs, for loaders only


@dataclass(frozen=True)
class Signature:
    """A signature's definition, and the functions that run it on arrays by input name.

    Attributes:
        batched: None if rows are not the first axis of every input and output.
        max_batch_size: rows of a batch.
    """

    definition: meta_graph_pb2.SignatureDef
    function: Function
    batched: Callable[[Arrays, float], Arrays] | None
    max_batch_size: int


class ServedModel:
    """A SavedModel, loaded as TensorFlow Serving loads it: its graph into a session.

    A model that fails to load or run there fails here too. Deleting the model frees the session's
    memory; `tf.saved_model.load` keeps 100 MiB and more until the process ends.

        model = ServedModel("serving_models/tickets/1795540775")
        model.predict("serving_default", text=["Where is my parcel?"])["label"]

    Args:
        folder: the SavedModel's. If its name is a number, that is the version, otherwise 0.
        batching: None runs each request alone.
        slots: taken by each run outside a batch, to limit how many run at once; None: no limit.

    Raises:
        ServingError: DATA_LOSS if a file differs from the version's checksums.
        Exception: whatever TensorFlow raises if the folder is not a complete SavedModel.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        batching: BatchingParameters | None = None,
        slots: threading.Semaphore | None = None,
    ) -> None:
        self.folder = os.fspath(folder)  # a Path would break gs://
        name = os.path.basename(self.folder)
        self.version = int(name) if name.isdecimal() else 0
        self._slots: contextlib.AbstractContextManager[Any] = slots or contextlib.nullcontext()
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        if damage := checksums.damage(pathlib.Path(self.folder)):
            raise ServingError(grpc.StatusCode.DATA_LOSS, "; ".join(damage))
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], self.folder)
        self.definitions = loaded.signature_def
        self.signatures = {
            name: self._signature(definition, batching)
            for name, definition in self.definitions.items()
            if name != _INIT_OP
        }

    def _signature(
        self, definition: meta_graph_pb2.SignatureDef, batching: BatchingParameters | None
    ) -> Signature:
        inputs, outputs = _specs(definition.inputs), _specs(definition.outputs)
        names = {name: info.name for name, info in definition.inputs.items()}
        fetches = {name: info.name for name, info in definition.outputs.items()}
        session = self._session  # a reference to `self` would be circular and delay its deletion

        def function(arrays: Arrays) -> Arrays:
            found: Arrays = session.run(fetches, {names[key]: arrays[key] for key in arrays})
            return found

        rows_first = all(spec.shape.rank and spec.shape[0] is None for spec in inputs + outputs)
        if batching is None or not rows_first:
            return Signature(definition, function, None, 0)
        limit = "max_generation_rows" if "max_new_tokens" in definition.inputs else "max_rows"
        rows = min(batching.max_batch_size, self._limits().get(limit, batching.max_batch_size))
        batching = replace(batching, max_batch_size=rows)
        run = batched(function, inputs, outputs, batching)
        return Signature(definition, function, run, rows)

    def _limits(self) -> dict[str, int]:
        file = os.path.join(self.folder, _LIMITS)
        if not tf.io.gfile.exists(file):
            return {}
        with tf.io.gfile.GFile(file) as stream:
            limits: dict[str, int] = json.load(stream)
        return limits

    def predict(self, signature: str, /, **inputs: Any) -> Arrays:
        """The outputs of a signature, by name; strings are bytes objects.

        Args:
            signature: its name.
            inputs: arrays or lists by input name; the signature's defaults fill in the others.

        Raises:
            KeyError: if there is no such signature.
            ServingError: INVALID_ARGUMENT if an input is unknown, missing, or breaks a limit of
                the model; otherwise as `run`.
        """
        found = self.signatures[signature]
        check_names(found.definition, inputs.keys())
        arrays = {
            name: _array(name, value, tf.as_dtype(found.definition.inputs[name].dtype))
            for name, value in inputs.items()
        }
        return self.run(found, with_defaults(found.definition, arrays))

    def run(self, signature: Signature, inputs: Arrays, deadline: float = NO_DEADLINE) -> Arrays:
        """The outputs for all of the signature's inputs.

        Args:
            deadline: seconds since the epoch; a request is not started after it.

        Raises:
            ServingError: with the code of the error in the graph; RESOURCE_EXHAUSTED if the
                batch queue is full; DEADLINE_EXCEEDED.
        """
        if signature.batched is not None and (rows := _batch_rows(signature, inputs)):
            try:
                return signature.batched(_repeated(inputs, rows), deadline)
            except tf.errors.UnavailableError as error:
                raise ServingError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED, of_tensorflow(error).args[0]
                ) from error
            except tf.errors.OpError:
                pass  # another request may have caused it: run alone, each gets its own answer
        with self._slots:
            if time.time() >= deadline:
                raise deadline_exceeded()
            try:
                return signature.function(inputs)
            except tf.errors.OpError as error:
                raise of_tensorflow(error) from error


def _array(name: str, value: Any, dtype: tf.DType) -> np.ndarray:
    if dtype.is_integer:  # NumPy would wrap around
        numbers = np.asarray(value)
        if np.any((numbers < dtype.min) | (numbers > dtype.max)):
            raise invalid_argument(f"{name}: expected {dtype.name}, got {value}")
    return np.asarray(value, dtype.as_numpy_dtype)


def _batch_rows(signature: Signature, inputs: Arrays) -> int:
    """Rows of the request; 0 if it cannot be batched.

    An input with a default is a setting: one row of it applies to all rows.
    """
    settings = signature.definition.defaults
    required = {len(array) for name, array in inputs.items() if name not in settings}
    if len(required) != 1 or not {len(array) for array in inputs.values()} <= required | {1}:
        return 0
    (rows,) = required
    return rows if rows <= signature.max_batch_size else 0


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
