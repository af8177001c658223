"""The built-in server: gRPC and REST for the versions of a model, in one process.

One event loop accepts the requests of both APIs; worker threads parse and answer them. On SIGTERM
or SIGINT the server accepts no more, answers what it has accepted within `grace` seconds, and ends;
a second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web

from serving import access, grpc_services, openapi
from serving.batching import BatchingParameters
from serving.bodies import Bodies
from serving.connections import Connections, most_connections
from serving.errors import CannotServe, ServingError
from serving.inference import Inference, warm_up
from serving.metrics import Metrics
from serving.model_versions import ModelVersions
from serving.rest import Rest
from serving.served_model import ServedModel
from serving.workers import Workers

_log = logging.getLogger(__name__)
_CANCEL_SECONDS = 1.0  # for handlers that are cancelled after the grace


@dataclass(frozen=True)
class ServerOptions:
    """What a server serves, its addresses and its limits.

    Attributes:
        folder: serving_models/<task>.
        grpc_port, rest_port: 0 takes any free port.
        batching: None runs each request alone.
        threads: requests processed at the same time; see workers.py.
        max_in_flight: requests in the server; one more gets RESOURCE_EXHAUSTED or 429.
        max_request_bytes: a larger request gets RESOURCE_EXHAUSTED or 413.
        rest_timeout: seconds; gRPC requests have their own deadlines.
        grace: seconds for running requests when the server stops.
        header_seconds: time for the headers of a REST request, and for a TLS or HTTP/2 handshake.
        idle_seconds: after that time without a request a connection is closed.
        max_connections: of each API; None: what the limit on open files allows.
        tls: certificate and key; None: no encryption.
        token: what clients must send; None: everyone may use the server.
        poll_seconds: interval between looks for a newer version.
    """

    folder: Path
    host: str = "127.0.0.1"
    grpc_port: int = 8500
    rest_port: int = 8501
    batching: BatchingParameters | None = field(default_factory=BatchingParameters)
    threads: int = 64
    max_in_flight: int = 256
    max_request_bytes: int = 16 << 20
    rest_timeout: float = 30.0
    grace: float = 30.0
    header_seconds: float = 10.0
    idle_seconds: float = 75.0
    max_connections: int | None = None
    tls: access.Tls | None = None
    token: bytes | None = None
    poll_seconds: float = 1.0


class Server:
    """A server in the running event loop: `await start()`, then `await stop()`."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._slots = threading.Semaphore(os.cpu_count() or 1)
        self.versions = ModelVersions(options.folder, self._load, options.poll_seconds)
        self._workers = Workers(options.threads, options.max_in_flight)
        self._metrics = Metrics()
        self._inference = Inference(self.versions)
        self._ready = False
        self._grpc: grpc.aio.Server | None = None
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._connections: Connections | None = None
        self.large_bodies = os.cpu_count() or 1
        self.grpc_port = self.rest_port = 0

    def _load(self, folder: Path) -> ServedModel:
        model = ServedModel(folder, self.options.batching, self._slots)
        warm_up(model)
        return model

    async def start(self) -> None:
        """Loads the model and opens the ports.

        Raises:
            CannotServe: if no version can be loaded, or a port is in use.
        """
        options = self.options
        self._metrics.gauge(
            "serving_requests_in_flight", "Requests in the server", lambda: self._workers.in_flight
        )
        self._metrics.gauge(
            "serving_model_version", "Version served", lambda: self.versions.version or 0
        )
        most = options.max_connections or most_connections()
        token = options.token
        self._grpc = grpc.aio.server(
            interceptors=[access.GrpcInterceptor(token)] if token else None,
            options=[
                ("grpc.so_reuseport", 0),  # a port in use is an error instead of shared
                ("grpc.max_receive_message_length", options.max_request_bytes),
                ("grpc.max_send_message_length", -1),
                # More than the server accepts, so that it says RESOURCE_EXHAUSTED.
                ("grpc.max_concurrent_streams", max(100, 2 * options.max_in_flight)),
                ("grpc.max_allowed_incoming_connections", most),
                ("grpc.server_handshake_timeout_ms", int(1e3 * options.header_seconds)),
                ("grpc.max_connection_idle_ms", int(1e3 * options.idle_seconds)),
                ("grpc.keepalive_time_ms", 60_000),  # finds clients that are gone
                ("grpc.keepalive_timeout_ms", 20_000),
            ],
        )
        health = grpc_services.add_services(
            self._grpc, self._inference, self._workers, self._metrics
        )
        rest = Rest(
            self._inference,
            self._workers,
            self._metrics,
            lambda: self._ready,
            options.rest_timeout,
            Bodies(options.max_request_bytes, large=self.large_bodies),
            lambda: openapi.description(self.versions.name, self.versions.version, bool(token)),
        )
        checks = [access.rest_middleware(token)] if token else []
        self._runner = web.AppRunner(
            rest.application([self._busy, *checks]),
            handler_cancellation=True,
            shutdown_timeout=_CANCEL_SECONDS,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        self._connections = Connections(
            self._runner.server, most, options.header_seconds, options.idle_seconds
        )
        address = _address(options.host, options.grpc_port)
        try:
            if options.tls:
                self.grpc_port = self._grpc.add_secure_port(address, options.tls.credentials)
            else:
                self.grpc_port = self._grpc.add_insecure_port(address)
        except RuntimeError as error:
            await self.stop()
            raise _cannot_listen(options.host, options.grpc_port, "--grpc-port") from error
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, self.versions.start)
            self._listener = await loop.create_server(
                self._connections,
                options.host,
                options.rest_port,
                ssl=options.tls.context if options.tls else None,
                ssl_handshake_timeout=options.header_seconds if options.tls else None,
            )
        except ServingError as error:
            await self.stop()
            raise CannotServe(str(error)) from error
        except OSError as error:
            await self.stop()
            raise _cannot_listen(options.host, options.rest_port, "--rest-port") from error
        self.rest_port = self._listener.sockets[0].getsockname()[1]
        await self._grpc.start()
        self._health = health
        self._ready = True
        await grpc_services.set_health(health, serving=True)

    async def stop(self) -> None:
        """Closes the ports, and answers the accepted requests within the grace."""
        if self._ready:
            self._ready = False
            await grpc_services.set_health(self._health, serving=False)
        if self._grpc is not None:
            await asyncio.gather(self._grpc.stop(self.options.grace), self._stop_rest())
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.versions.stop)
        await loop.run_in_executor(None, self._workers.stop)

    async def _stop_rest(self) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._connections is not None:
            seconds = self.options.grace if self._listener else 0
            if unanswered := await self._connections.drain(seconds):
                _log.warning(
                    "%d REST requests were not answered within %g s", unanswered, self.options.grace
                )
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _busy(self, request: web.Request, handler: Any) -> web.StreamResponse:
        assert self._connections is not None
        return await self._connections.middleware(request, handler)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cannot_listen(host: str, port: int, option: str) -> CannotServe:
    return CannotServe(
        f"{_address(host, port)}: cannot listen there; if the port is in use, choose another with"
        f" {option}"
    )


def run(options: ServerOptions, announce: Callable[[str], None] = print) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        announce: gets a line with the addresses when the server is ready, and a line when it stops.

    Raises:
        CannotServe: if no version can be loaded, or a port is in use.
    """
    _log_to_stderr()
    asyncio.run(_run(options, announce))


async def _run(options: ServerOptions, announce: Callable[[str], None]) -> None:
    server = Server(options)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopped.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await server.start()
    address = _address(options.host, server.rest_port)
    scheme = "https" if options.tls else "http"
    announce(
        f"serving {server.versions.folder}/{server.versions.version}:"
        f" gRPC on {_address(options.host, server.grpc_port)},"
        f" REST on {scheme}://{address}/v1/models/{server.versions.name}"
    )
    await stopped.wait()
    announce("stopping: finishing running requests")
    await server.stop()


def _log_to_stderr() -> None:
    logger = logging.getLogger("serving")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # the command line silences the root logger
