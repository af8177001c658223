"""Who may use a server: TLS, and a token that clients must send.

Clients send the token as `authorization: Bearer TOKEN`: a header of REST, metadata of gRPC. Health
checks need none: /healthz, /readyz and gRPC's health service.
"""

from __future__ import annotations

import hmac
import re
import ssl
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web

from serving.errors import CannotServe, ServingError

_OPEN_PATHS = ("/healthz", "/readyz")
_OPEN_SERVICE = "/grpc.health.v1.Health/"
_TOKEN = re.compile(rb"[\x21-\x7e]+")
_REFUSAL = "expected the header 'authorization: Bearer TOKEN' with the server's token"


@dataclass(frozen=True)
class Tls:
    """A server's certificate and key.

    Attributes:
        context: for REST.
        credentials: for gRPC.
    """

    context: ssl.SSLContext
    credentials: grpc.ServerCredentials


def read_tls(certificate: Path, key: Path) -> Tls:
    """Reads a certificate, with those that signed it, and its key, both PEM.

    Raises:
        CannotServe: if a file cannot be read or is no PEM, or the two do not belong together.
    """
    cert_pem, key_pem = _read("--tls-cert", certificate), _read("--tls-key", key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, ValueError) as error:
        raise CannotServe(
            f"--tls-cert {certificate}, --tls-key {key}: expected a PEM certificate and its key"
            f" without a password; OpenSSL says: {getattr(error, 'reason', None) or error}"
        ) from error
    return Tls(context, grpc.ssl_server_credentials([(key_pem, cert_pem)]))


def read_token(file: Path) -> bytes:
    """Reads the token that clients must send: the file's only line.

    Raises:
        CannotServe: if the file cannot be read, can be read by everyone, or has no token.
    """
    token = _read("--token-file", file).strip()
    if file.stat().st_mode & stat.S_IROTH:
        raise CannotServe(
            f"--token-file {file}: every user of this machine can read it; run: chmod 600 {file}"
        )
    if not _TOKEN.fullmatch(token):
        found = "an empty file" if not token else "spaces, several lines or other characters"
        raise CannotServe(
            f"--token-file {file}: expected one line of ASCII letters, digits and signs, got"
            f" {found}; make one with: openssl rand -hex 32"
        )
    return token


def _read(option: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CannotServe(f"{option} {file}: {error.strerror}") from error


def allows(token: bytes, authorization: str | bytes) -> bool:
    """Whether a header has the token. Takes the same time for every wrong token."""
    if isinstance(authorization, str):
        authorization = authorization.encode("utf-8", "surrogateescape")
    scheme, _, sent = authorization.partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(sent.strip(), token)


def rest_middleware(token: bytes) -> Any:
    """A middleware of aiohttp that refuses requests without the token by UNAUTHENTICATED."""

    @web.middleware
    async def check(request: web.Request, handler: Any) -> web.StreamResponse:
        sent = request.headers.get("Authorization", "")
        if request.path not in _OPEN_PATHS and not allows(token, sent):
            raise ServingError(grpc.StatusCode.UNAUTHENTICATED, _REFUSAL)
        return await handler(request)

    return check


class GrpcInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without the token by UNAUTHENTICATED."""

    def __init__(self, token: bytes) -> None:
        self._token = token

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        sent = dict(handler_call_details.invocation_metadata or ()).get("authorization", "")
        is_open = handler_call_details.method.startswith(_OPEN_SERVICE)
        if is_open or allows(self._token, sent):
            return await continuation(handler_call_details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


async def _refuse(_: bytes, context: grpc.aio.ServicerContext) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, _REFUSAL)
