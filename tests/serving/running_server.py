"""Servers in a thread of the tests' process, and ways to send them requests."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import replace

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server import Server, ServerOptions


class RunningServer:
    """A server with a gRPC channel and a URL; `close` ends its thread."""

    def __init__(self, options):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self._run(self._start(options))
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.server.grpc_port}")
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.url = f"http://127.0.0.1:{self.server.rest_port}"

    async def _start(self, options):
        server = Server(options)
        await server.start()
        return server

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def stop(self):
        self._run(self.server.stop())

    def close(self):
        self.channel.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def predict(self, inputs, signature="", outputs=(), timeout=30, name="small", version=None):
        """The PredictResponse; inputs are values or TensorProtos."""
        return self.prediction.Predict(
            predict_request(inputs, signature, outputs, name, version), timeout=timeout
        )

    def rest(self, path, body=None, data=None):
        """Status and JSON of a GET, or of a POST of `body`, as JSON, or of the bytes `data`."""
        if body is not None:
            data = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def predict_request(inputs, signature="", outputs=(), name="small", version=None):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for key, value in inputs.items():
        is_proto = hasattr(value, "tensor_shape")
        request.inputs[key].CopyFrom(value if is_proto else tf.make_tensor_proto(value))
    return request


@contextmanager
def serving(folder, **changes):
    options = ServerOptions(folder, grpc_port=0, rest_port=0, poll_seconds=0.05)
    running = RunningServer(replace(options, **changes))
    try:
        yield running
        running.stop()
    finally:
        running.close()
