"""Errors of requests: a gRPC status code and a message; REST answers with its HTTP status."""

from __future__ import annotations

import re

import grpc

# As tensorflow_serving/model_servers/http_server.cc maps them.
HTTP_STATUS = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}
_FUNCTION_NODE = re.compile(r"^\{\{function_node [^}]*\}\} ")
_ASSERTION = re.compile(r"assertion failed: \[(.*)\]", re.DOTALL)
_LONGEST_MESSAGE = 1000  # characters: gRPC sends it in a header, whose size is limited


class ServingError(Exception):
    """The gRPC status code and message that a client gets."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message[:_LONGEST_MESSAGE])
        self.code = code

    @property
    def http_status(self) -> int:
        return HTTP_STATUS.get(self.code, 500)


def invalid_argument(message: str) -> ServingError:
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def deadline_exceeded() -> ServingError:
    return ServingError(
        grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request was answered"
    )


def of_tensorflow(error: Exception) -> ServingError:
    """A tf.errors.OpError as ServingError: its code, and its message without graph traces."""
    code = _BY_NUMBER.get(getattr(error, "error_code", None), grpc.StatusCode.INTERNAL)
    # "Graph execution error:\n\nDetected at node ...\n\nMESSAGE\n\t [[{{node ...}}]] [Op:...]"
    message = str(getattr(error, "message", error)).split("\n\t [[")[0]
    message = _FUNCTION_NODE.sub("", message.strip().rsplit("\n\n", 1)[-1])
    if refusal := _ASSERTION.search(message):
        message = refusal[1].replace("] [", " ")
    return ServingError(code, message)


class CannotServe(Exception):
    """A server cannot start; the message is one line for the user."""
