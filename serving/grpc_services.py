"""gRPC: TensorFlow Serving's PredictionService and ModelService, and gRPC's health service.

Worker threads parse the requests, so that a large one does not block the event loop, and a
malformed one gets INVALID_ARGUMENT.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from serving.errors import ServingError, invalid_argument
from serving.inference import Inference, deadline_after
from serving.metrics import Metrics
from serving.workers import Workers

_log = logging.getLogger(__name__)
PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
_NOT_IMPLEMENTED = ("Regress", "MultiInference")

Method = Callable[[Any, float], Any]


def add_services(
    server: grpc.aio.Server, inference: Inference, workers: Workers, metrics: Metrics
) -> health.aio.HealthServicer:
    """Adds all services; returns the health service, which reports no status yet."""

    def handler(name: str, request: Any, method: Method) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(_unary(name, request, method, workers, metrics))

    prediction = {
        "Predict": handler("Predict", predict_pb2.PredictRequest, inference.predict),
        "Classify": handler(
            "Classify", classification_pb2.ClassificationRequest, inference.classify
        ),
        "GetModelMetadata": handler(
            "GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest, inference.metadata
        ),
        **{
            name: grpc.unary_unary_rpc_method_handler(_unimplemented(name))
            for name in _NOT_IMPLEMENTED
        },
    }
    model = {
        "GetModelStatus": handler(
            "GetModelStatus", get_model_status_pb2.GetModelStatusRequest, inference.status
        )
    }
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(PREDICTION_SERVICE, prediction),
            grpc.method_handlers_generic_handler(MODEL_SERVICE, model),
        )
    )
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    return servicer


async def set_health(servicer: health.aio.HealthServicer, serving: bool) -> None:
    """Reports whether the server and each service answer requests."""
    status = health_pb2.HealthCheckResponse
    for service in ("", PREDICTION_SERVICE, MODEL_SERVICE):
        await servicer.set(service, status.SERVING if serving else status.NOT_SERVING)


def _unary(
    name: str, request_class: Any, method: Method, workers: Workers, metrics: Metrics
) -> Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]:
    async def call(raw: bytes, context: grpc.aio.ServicerContext) -> bytes:
        deadline = deadline_after(context.time_remaining())

        def work() -> bytes:
            try:
                request = request_class.FromString(raw)
            except DecodeError as error:
                raise invalid_argument(
                    f"the request is not a {request_class.DESCRIPTOR.full_name}"
                ) from error
            return method(request, deadline).SerializeToString()

        try:
            with metrics.request("grpc", name):
                return await workers.run(work, deadline)
        except ServingError as error:
            code, details = error.code, str(error)
        except Exception:
            _log.exception("%s failed", name)
            code, details = grpc.StatusCode.INTERNAL, "internal error: see the server's log"
        await context.abort(code, details)
        raise AssertionError("abort raises")

    return call


def _unimplemented(name: str) -> Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]:
    async def call(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name} is not implemented")
        raise AssertionError("abort raises")

    return call
