"""Fuzzes the server by gRPC and by REST, with a seed.

A request is a valid one with corrupted values or bytes, or random bytes. Each answer must arrive
in time and have a documented code. At the end the server must give a valid request the same
answer as before.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc

from benchmarks.server_process import ServerProcess
from serving.client import Client

GRPC_CODES = {
    "OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
}  # fmt: skip
HTTP_STATUSES = {200, 400, 404, 405, 413, 429, 501}
_TIMEOUT = 60.0  # seconds without an answer count as a hang
_THREADS = 8
_SERVICE = "/tensorflow.serving.PredictionService/"
_METHODS = ("Predict", "Predict", "Predict", "Classify", "GetModelMetadata", "Regress")
_SIGNATURES = (
    "", "serving_default", "serving_examples", "classify", "embed", "score", "score_examples",
    "score_stream", "__saved_model_init_op", "none",
)  # fmt: skip
_INPUTS = (
    "text", "text", "text", "inputs", "examples", "max_new_tokens", "temperature", "top_k", "top_p",
    "repetition_penalty", "seed", "ends_line", "last_token", "conv", "ssm", "unknown",
)  # fmt: skip
_NUMBERS = (0, 1, -1, 2, 7, 2**31 - 1, -(2**31), 2**53, 2**63 - 1)
_FLOATS = (0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, float("nan"), float("inf"), float("-inf"))


def run(running: ServerProcess, count: int, seed: int) -> dict[str, Any]:
    """Sends `count` requests, half by gRPC and half by REST.

    Returns:
        `requests`, `crashes`, `hangs`, `undocumented` (answers with another code), `codes` (number
        of each), `examples` (of undocumented answers).
    """
    with Client(running.grpc, _TIMEOUT) as client:
        before = _probe(client, running.task)
        tally = _Tally()
        threads = [
            threading.Thread(
                target=_ask_many,
                args=(running, random.Random(f"{seed} {i}"), count // _THREADS, tally, i % 2 == 0),
            )
            for i in range(_THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        crashed = running.process.poll() is not None or _probe(client, running.task) != before
    return {
        "requests": count // _THREADS * _THREADS,
        "crashes": int(crashed),
        "hangs": tally.hangs,
        "undocumented": tally.undocumented,
        "codes": dict(sorted(tally.codes.items())),
        "examples": tally.examples,
    }


def _probe(client: Client, task: str) -> str:
    signature = "serving_default" if task == "imdb" else "score"
    return repr(client.predict(task, {"text": ["In the beginning."]}, signature))


class _Tally:
    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.hangs = self.undocumented = 0
        self.examples: list[str] = []
        self._lock = threading.Lock()

    def add(self, code: str, documented: bool, hung: bool, request: str, answer: str) -> None:
        with self._lock:
            self.codes[code] += 1
            self.hangs += hung
            self.undocumented += not documented and not hung
            if not documented and len(self.examples) < 5:
                self.examples.append(f"{code}: {answer[:200]} for {request[:200]}")


def _ask_many(
    running: ServerProcess, rng: random.Random, count: int, tally: _Tally, by_grpc: bool
) -> None:
    if by_grpc:
        with grpc.insecure_channel(running.grpc) as channel:
            for _ in range(count):
                _ask_grpc(channel, *_grpc_request(rng, running.task), tally)
        return
    for _ in range(count):
        _ask_rest(running.rest, *_rest_request(rng, running.task), tally)


def _ask_grpc(channel: grpc.Channel, method: str, body: bytes, tally: _Tally) -> None:
    code, details = "OK", ""
    try:
        channel.unary_unary(_SERVICE + method)(body, timeout=_TIMEOUT)
    except grpc.RpcError as error:
        code, details = error.code().name, error.details()
    hung = code == "DEADLINE_EXCEEDED"
    tally.add(f"grpc {code}", code in GRPC_CODES, hung, f"{method} {body!r}", details)


def _ask_rest(address: str, method: str, path: str, body: bytes, tally: _Tally) -> None:
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT)
    status, answer, hung = 0, "", False
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        status, answer = response.status, response.read().decode()
        json.loads(answer)
    except TimeoutError:
        hung = True
    except (OSError, http.client.HTTPException, ValueError) as error:
        answer = f"{type(error).__name__}: {error}"
        status = 0
    finally:
        connection.close()
    hung = hung or status == 504
    documented = status in HTTP_STATUSES
    tally.add(f"rest {status}", documented, hung, f"{method} {path} {body!r}", answer)


# --- Requests ---------------------------------------------------------------------------


def odd_text(rng: random.Random) -> bytes:
    """Text, or bytes in place of text."""
    kind = rng.randrange(10)
    size = min(rng.choice((0, 1, 5, 50, 500, 3000)), rng.choice((50, 3000)))
    if kind == 0:
        return rng.randbytes(size)
    if kind == 1:
        return rng.choice((b"", b" ", b"\n", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\r\n\t"))
    if kind == 2:
        return "".join(
            chr(rng.choice((rng.randrange(0x20, 0xD7FF), 0x1F3AC))) for _ in range(size)
        ).encode()
    if kind == 3:
        return rng.choice((b"a", b"\n", b"\xd7\xa1", b" ", b"<br />")) * size
    if kind == 4 and rng.random() < 0.02:
        return b"A good film. " * 80_000  # a megabyte
    words = ("the", "film", "was", "good", "LORD", "and", "God", "bad", "<br />", "don't", "1994")
    return " ".join(rng.choice(words) for _ in range(size // 10 + 1)).encode()


def _values(rng: random.Random, dtype: int, count: int) -> list[Any]:
    if dtype == 7:
        return [odd_text(rng) for _ in range(count)]
    if dtype in (1, 2):
        return [rng.choice(_FLOATS) for _ in range(count)]
    if dtype == 10:
        return [rng.random() < 0.5 for _ in range(count)]
    most = 2**31 if dtype == 3 else 2**63
    return [rng.choice([n for n in _NUMBERS if -most <= n < most]) for _ in range(count)]


def _fill_tensor(rng: random.Random, proto: Any, name: str) -> None:
    usual = {"text": 7, "inputs": 7, "examples": 7, "ends_line": 10, "last_token": 9}
    usual |= {"max_new_tokens": 3, "top_k": 3, "seed": 3}
    dtype = usual.get(name, 1) if rng.random() < 0.9 else rng.choice((0, 1, 2, 3, 7, 9, 10, 14, 99))
    proto.dtype = dtype
    rows = rng.choice((0, 1, 1, 1, 2, 3, 40 if name != "text" else 5))
    sizes = [rows] if rng.random() < 0.9 else rng.choice(([], [rows, 2], [-1], [1 << 40], [2, 0]))
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    fields = {1: "float_val", 2: "double_val", 3: "int_val", 7: "string_val"}
    fields |= {9: "int64_val", 10: "bool_val"}
    if dtype in fields:
        count = rows if rng.random() < 0.9 else rng.randrange(5)
        values = _values(rng, dtype, count)
        if name == "max_new_tokens" and dtype == 3:
            values = [rng.choice((-1, 0, 1, 5, 20, 2**31 - 1)) for _ in values]
        getattr(proto, fields[dtype]).extend(values)
    if rng.random() < 0.05:
        proto.tensor_content = rng.randbytes(rng.randrange(40))


def _grpc_request(rng: random.Random, task: str) -> tuple[str, bytes]:
    """A method and a serialized request, possibly corrupted."""
    from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, predict_pb2

    method = rng.choice(_METHODS)
    if rng.random() < 0.05:
        return method, rng.randbytes(rng.randrange(300))
    request: Any
    if method == "Classify":
        request = classification_pb2.ClassificationRequest()
        for _ in range(rng.randrange(4)):
            example = request.input.example_list.examples.add()
            feature = example.features.feature[rng.choice(("text", "text", "year"))]
            feature.bytes_list.value.extend(_values(rng, 7, rng.choice((0, 1, 1, 1, 2))))
    elif method == "GetModelMetadata":
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        request.metadata_field.append(rng.choice(("signature_def", "weights", "")))
    else:
        request = predict_pb2.PredictRequest()
        names = ["text"] if rng.random() < 0.6 else rng.sample(_INPUTS, rng.randrange(6))
        for name in names:
            _fill_tensor(rng, request.inputs[name], name)
        if rng.random() < 0.1:
            request.output_filter.append(rng.choice(("label", "scores", "text", "none", "")))
    request.model_spec.name = task if rng.random() < 0.95 else rng.choice(("", "large", "a" * 999))
    request.model_spec.signature_name = rng.choice(_SIGNATURES)
    if rng.random() < 0.05:
        request.model_spec.version.value = rng.choice(_NUMBERS)
    body = request.SerializeToString()
    return method, _corrupted(rng, body) if rng.random() < 0.2 else body


def _corrupted(rng: random.Random, body: bytes) -> bytes:
    """Changes, removes or inserts some bytes."""
    corrupted = bytearray(body)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(corrupted) + 1)
        corrupted[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return bytes(corrupted)


def _json_value(rng: random.Random, depth: int = 0) -> Any:
    makers: list[Callable[[], Any]] = [
        lambda: odd_text(rng).decode("utf-8", "replace"),
        lambda: odd_text(rng).decode("utf-8", "replace"),
        lambda: {"b64": rng.choice(("", "QQ==", "QQ", "?", "8J+OrA=="))},
        lambda: rng.choice((*_NUMBERS, *_FLOATS, True, None, 2**70)),
        lambda: [_json_value(rng, depth + 1) for _ in range(rng.randrange(4))],
        lambda: {rng.choice(_INPUTS): _json_value(rng, depth + 1) for _ in range(rng.randrange(3))},
    ]
    return rng.choice(makers[:4] if depth > 3 else makers)()


def _rest_request(rng: random.Random, task: str) -> tuple[str, str, bytes]:
    """A method, a path and a body."""
    name = task if rng.random() < 0.95 else rng.choice(("large", "%00", "a" * 999, "%F0%9F%8E%AC"))
    version = "" if rng.random() < 0.9 else rng.choice(("/versions/1", "/versions/x", "/labels/a"))
    verb = rng.choice((":predict", ":predict", ":predict", ":classify", ":regress", ":sing", ""))
    path = f"/v1/models/{name}{version}{verb}"
    if rng.random() < 0.05:
        path = rng.choice(("/", "/v1", "/v1/models", path + "/metadata", "/healthz", "/%2e%2e/"))
    method = "POST" if rng.random() < 0.95 else rng.choice(("GET", "PUT", "DELETE"))
    draw = rng.random()
    if draw < 0.05:
        return method, path, rng.randbytes(rng.randrange(300))
    if draw < 0.08:
        return method, path, rng.choice((b"[", b'{"a":')) * rng.choice((10, 100_000))
    rows = [
        _json_value(rng, 3) if rng.random() < 0.3 else "A film." for _ in range(rng.randrange(4))
    ]
    if rng.random() < 0.3:
        rows = [{"text": row, rng.choice(_INPUTS): _json_value(rng, 3)} for row in rows]
    document: dict[str, Any] = {rng.choice(("instances", "inputs", "examples")): rows}
    if rng.random() < 0.3:
        document = {"inputs": {key: _json_value(rng, 2) for key in rng.sample(_INPUTS, 3)}}
    if rng.random() < 0.5:
        document["signature_name"] = rng.choice((*_SIGNATURES, 7))
    if rng.random() < 0.1:
        document[rng.choice(("instances", "inputs", "context"))] = _json_value(rng)
    body = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode()
    return method, path, _corrupted(rng, body) if rng.random() < 0.2 else body
