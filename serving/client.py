"""A typed gRPC client of served models, by TensorFlow Serving's stubs, without TensorFlow.

    with Client("localhost:8500") as client:
        client.classify_text(["Where is my parcel?"], model="tickets")
        # [Classification("delivery", {"billing": 0.02, "delivery": 0.95, "other": 0.03})]
        client.generate(["It was a dark"], model="novels", max_new_tokens=40)

It works with this project's server and with TensorFlow Serving.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

Value = Sequence[str] | Sequence[bytes] | Sequence[int] | Sequence[float]

# From tensorflow.core.framework.types_pb2: numbers of dtypes, and the fields of their values.
_FLOAT, _INT32, _STRING = 1, 3, 7
_FIELDS = {
    1: "float_val", 2: "double_val", 3: "int_val", 7: "string_val", 9: "int64_val", 10: "bool_val"
}  # fmt: skip


@dataclass(frozen=True)
class Classification:
    """A text's label, and each class's probability, in the model's order of classes."""

    label: str
    scores: dict[str, float]


@dataclass(frozen=True)
class Score:
    """The bits that a model needs for a text, and its characters, including a line end."""

    bits: float
    characters: int


@dataclass(frozen=True)
class Continuation:
    """A generated text, its log-probability in nats, and its length in tokens."""

    text: str
    log_probability: float
    tokens: int


@dataclass(frozen=True)
class Tensor:
    """Values in row-major order, and the shape."""

    values: list[Any]
    shape: tuple[int, ...]

    def rows(self) -> list[list[Any]]:
        """The values of each row, flat."""
        size = math.prod(self.shape[1:])
        return [self.values[i * size : (i + 1) * size] for i in range(self.shape[0])]


class Client:
    """A connection to a server.

    Args:
        address: host:port of its gRPC API.
        timeout: seconds per request.
        token: the server's token, if it asks for one.
        certificate: PEM of the server's certificate, or of what signed it: TLS. None: no TLS.

    Every method raises grpc.RpcError, with `code()` and `details()`.
    """

    def __init__(
        self,
        address: str = "localhost:8500",
        timeout: float = 30.0,
        *,
        token: str | None = None,
        certificate: bytes | None = None,
    ) -> None:
        self._stubs = stubs = _stubs()
        self._timeout = timeout
        self._metadata = [("authorization", f"Bearer {token}")] if token else None
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ]
        if certificate is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            credentials = grpc.ssl_channel_credentials(certificate)
            self._channel = grpc.secure_channel(address, credentials, options)
        self._prediction = stubs.prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = stubs.model_service_pb2_grpc.ModelServiceStub(self._channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def classify_text(self, texts: Sequence[str | bytes], model: str) -> list[Classification]:
        """Label and probabilities of each text."""
        answer = self.predict(model, {"text": texts}, outputs=["label", "classes", "scores"])
        rows = zip(
            answer["label"].values, answer["classes"].rows(), answer["scores"].rows(), strict=True
        )
        return [
            Classification(
                label.decode(),
                {name.decode(): score for name, score in zip(classes, scores, strict=True)},
            )
            for label, classes, scores in rows
        ]

    def generate(
        self, prompts: Sequence[str | bytes], model: str, **settings: int | float
    ) -> list[Continuation]:
        """A continuation of each prompt.

        Args:
            settings: max_new_tokens, temperature, top_k, top_p, repetition_penalty, seed; the model
                has defaults.
        """
        inputs: dict[str, Value] = {"text": prompts}  # type: ignore[dict-item]
        for name, value in settings.items():
            is_float = name in ("temperature", "top_p", "repetition_penalty")
            inputs[name] = [float(value) if is_float else int(value)]
        answer = self.predict(model, inputs)
        columns = (answer[name].values for name in ("text", "log_probability", "tokens"))
        rows = zip(*columns, strict=True)
        return [Continuation(text.decode(), log_p, tokens) for text, log_p, tokens in rows]

    def score(self, texts: Sequence[str | bytes], model: str) -> list[Score]:
        """Bits and characters of each text."""
        answer = self.predict(model, {"text": texts}, signature="score")
        rows = zip(answer["bits"].values, answer["characters"].values, strict=True)
        return [Score(bits, characters) for bits, characters in rows]

    def embed(self, texts: Sequence[str | bytes], model: str) -> list[list[float]]:
        """The model's last hidden state for each text."""
        answer = self.predict(model, {"text": texts}, signature="embed")
        return answer["embedding"].rows()

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        signature: str = "serving_default",
        outputs: Sequence[str] = (),
        version: int | None = None,
    ) -> dict[str, Tensor]:
        """Calls any signature; returns tensors by output name.

        Args:
            inputs: lists of rows by input name; str and bytes are sent as string, int as int32,
                float as float32.
            outputs: the ones to return; empty: all.
        """
        request = self._stubs.predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        request.output_filter.extend(outputs)
        for name, values in inputs.items():
            _fill(request.inputs[name], values)
        response = self._prediction.Predict(request, timeout=self._timeout, metadata=self._metadata)
        return {name: _read(proto) for name, proto in response.outputs.items()}

    def version(self, model: str) -> int:
        """The served version."""
        request = self._stubs.get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        response = self._model.GetModelStatus(
            request, timeout=self._timeout, metadata=self._metadata
        )
        available = response.model_version_status[0].AVAILABLE
        return max(s.version for s in response.model_version_status if s.state == available)


def _fill(proto: Any, values: Sequence[Any]) -> None:
    values = [value.encode() if isinstance(value, str) else value for value in values]
    proto.tensor_shape.dim.add(size=len(values))
    if values and isinstance(values[0], int):
        proto.dtype = _INT32
    elif values and isinstance(values[0], float):
        proto.dtype = _FLOAT
    else:
        proto.dtype = _STRING
    getattr(proto, _FIELDS[proto.dtype]).extend(values)


def _read(proto: Any) -> Tensor:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    values = list(getattr(proto, _FIELDS[proto.dtype]))
    if len(values) == 1:  # one value means all values
        values *= math.prod(shape)
    return Tensor(values, shape)


def _stubs() -> types.SimpleNamespace:
    """Imports TensorFlow Serving's stubs without TensorFlow.

    The stubs import messages from tensorflow.core, which would run all of tensorflow/__init__.py:
    seconds and hundreds of MiB. An empty package in its place is enough to find the messages. It
    is removed afterwards, so that TensorFlow can still be imported.
    """
    bare = "tensorflow" not in sys.modules
    if bare:
        spec = importlib.util.find_spec("tensorflow")
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError("the stubs need the package tensorflow for its messages")
        package = types.ModuleType("tensorflow")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["tensorflow"] = package
    try:
        return types.SimpleNamespace(
            **{
                name: importlib.import_module(f"tensorflow_serving.apis.{name}")
                for name in (
                    "get_model_status_pb2",
                    "model_service_pb2_grpc",
                    "predict_pb2",
                    "prediction_service_pb2_grpc",
                )
            }
        )
    finally:
        if bare:
            for name in [n for n in sys.modules if n.partition(".")[0] == "tensorflow"]:
                del sys.modules[name]
