"""REST by aiohttp: TensorFlow Serving's paths, health checks and metrics."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from aiohttp import web
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
)

from serving import rest_json
from serving.bodies import Bodies
from serving.errors import ServingError, invalid_argument
from serving.inference import SIGNATURE_DEF, Inference, deadline_after
from serving.metrics import Metrics
from serving.workers import Workers

_log = logging.getLogger(__name__)
# As in tensorflow_serving/model_servers/http_rest_api_handler.cc.
_MODEL = r"/v1/models/([^/:]+)(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?"
_INFERENCE = re.compile(_MODEL + r":(classify|regress|predict)", re.IGNORECASE)
_STATUS = re.compile(_MODEL + r"(/metadata)?", re.IGNORECASE)
_INT64_DIGITS = 19


@dataclass(frozen=True)
class Rest:
    """The HTTP handlers of a server.

    Attributes:
        ready: whether the server answers requests, for /readyz.
        timeout: seconds that a request may take, including reading its body.
        bodies: reads the bodies.
        describe: makes the API's OpenAPI document.
    """

    inference: Inference
    workers: Workers
    metrics: Metrics
    ready: Callable[[], bool]
    timeout: float
    bodies: Bodies
    describe: Callable[[], dict[str, Any]]

    def application(self, middlewares: Sequence[Any] = ()) -> web.Application:
        """The routes; `middlewares` may raise ServingError."""
        app = web.Application(middlewares=[_errors_as_json, *middlewares])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_page)
        app.router.add_get("/openapi.json", self._openapi)
        app.router.add_get("/v1/{rest:.*}", self._get)
        app.router.add_post("/v1/{rest:.*}", self._post)
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = self.ready()
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def _metrics_page(self, _: web.Request) -> web.Response:
        return web.Response(body=self.metrics.page(), headers={"Content-Type": "text/plain"})

    async def _openapi(self, _: web.Request) -> web.Response:
        return _json(rest_json.encoded(self.describe()))

    async def _get(self, request: web.Request) -> web.Response:
        match = _STATUS.fullmatch(request.path)
        if match is None:
            raise _malformed(request)
        *place, metadata = match.groups()
        deadline = deadline_after(self.timeout)

        def work() -> bytes:
            if metadata:
                asked = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=_spec(*place))
                asked.metadata_field.append(SIGNATURE_DEF)
                return rest_json.encoded(
                    rest_json.message_json(self.inference.metadata(asked, deadline))
                )
            of = get_model_status_pb2.GetModelStatusRequest(model_spec=_spec(*place))
            return rest_json.encoded(rest_json.message_json(self.inference.status(of, deadline)))

        method = "GetModelMetadata" if metadata else "GetModelStatus"
        with self.metrics.request("rest", method):
            return _json(await self.workers.run(work, deadline))

    async def _post(self, request: web.Request) -> web.Response:
        match = _INFERENCE.fullmatch(request.path)
        if match is None:
            raise _malformed(request)
        *place, verb = match.groups()
        deadline = deadline_after(self.timeout)
        verb = verb.lower()
        answer = {"predict": self._predict, "classify": self._classify}.get(verb)
        with self.metrics.request("rest", verb.capitalize()):
            if answer is None:
                raise ServingError(grpc.StatusCode.UNIMPLEMENTED, "Regress is not implemented")
            spec = _spec(*place)
            async with self.bodies.read(request, deadline) as body:
                work = functools.partial(answer, spec, body, deadline)
                return _json(await self.workers.run(work, deadline))

    def _predict(self, spec: model_pb2.ModelSpec, body: bytes, deadline: float) -> bytes:
        document = rest_json.parse(body)
        request = predict_pb2.PredictRequest(model_spec=spec)
        _fill_signature(request.model_spec, document)
        definition = self.inference.input_definitions(request)
        form = rest_json.fill_predict_request(document, definition, request)
        response = self.inference.predict(request, deadline)
        return rest_json.encoded(rest_json.predict_json(response, form))

    def _classify(self, spec: model_pb2.ModelSpec, body: bytes, deadline: float) -> bytes:
        document = rest_json.parse(body)
        request = classification_pb2.ClassificationRequest(model_spec=spec)
        _fill_signature(request.model_spec, document)
        rest_json.fill_examples(document, request.input)
        response = self.inference.classify(request, deadline)
        return rest_json.encoded(rest_json.classify_json(response))


def _spec(name: str, version: str | None, label: str | None) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=name, version_label=label)
    if version is not None:
        digits = version.lstrip("0") or "0"
        if len(digits) > _INT64_DIGITS or int(digits) >= 2**63:
            raise invalid_argument(f"Failed to convert version: {version} to numeric.")
        spec.version.value = int(digits)
    return spec


def _fill_signature(spec: model_pb2.ModelSpec, document: dict) -> None:
    try:
        spec.signature_name = document.get("signature_name", "")
    except (ValueError, UnicodeEncodeError) as error:
        raise invalid_argument("'signature_name' is not valid Unicode") from error


def _malformed(request: web.Request) -> ServingError:
    return invalid_argument(f"Malformed request: {request.method} {request.path}")


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Type": "application/json"})


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    headers = {}
    try:
        return await handler(request)
    except asyncio.CancelledError:
        if request.transport is None:
            _log.info("%s %s: the client left before the answer", request.method, request.path)
        raise
    except ServingError as error:
        message, status = str(error), error.http_status
        if error.code == grpc.StatusCode.CANCELLED:
            _log.info("%s %s: %s in mid-body", request.method, request.path, error)
        if error.code == grpc.StatusCode.UNAUTHENTICATED:
            headers["WWW-Authenticate"] = "Bearer"
    except web.HTTPException as error:  # 404, 405, or 413 for a body that is too large
        message, status = error.text or error.reason, error.status
        if isinstance(error, web.HTTPMethodNotAllowed):
            headers["Allow"] = "POST" if _INFERENCE.fullmatch(request.path) else "GET,HEAD"
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        message, status = "internal error: see the server's log", 500
    answer = _json(rest_json.encoded({"error": message}), status)
    answer.headers.update(headers)
    return answer
