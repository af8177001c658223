"""Limits on REST's connections: time for a request's headers, idle time, and their number.

aiohttp has one time limit for headers and idle connections together, and no cap. A connection is in
one of three states: it waits for a whole request (headers), a request is answered (busy), or an
answer was given and nothing has come since (idle). At the cap a new connection takes the place of
the one that has waited longest, those without a whole request first; busy ones always stay.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

_log = logging.getLogger(__name__)
_RESERVED = 128  # descriptors for the model's files, listening sockets, logs
_FEWEST, _MOST = 16, 8192
_LAST_REQUESTS = 0.25  # seconds for requests that were on their way when the server stopped


def most_connections() -> int:
    """Connections of each API that the process's limit on open files allows (`ulimit -n`)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST
    return max(_FEWEST, min(_MOST, (soft - _RESERVED) // 2))


class Connection(web.RequestHandler):
    """An HTTP connection that reports its state to its Connections."""

    def __init__(self, connections: Connections, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.opened(self)

    def data_received(self, data: bytes) -> None:
        self._connections.heard(self)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.lost(self)
        super().connection_lost(exc)

    def log_exception(self, *args: Any, **settings: Any) -> None:
        """Logs faults of a request in one line; other errors with their traceback."""
        error = settings.get("exc_info")
        if isinstance(error, HttpProcessingError):
            reason = " ".join(error.message.split())
            _log.info("%s: refused a request that is not HTTP: %.200s", self._peer(), reason)
        # aiohttp reads on after a damaged body has been refused, and fails again.
        elif not isinstance(error, web.RequestPayloadError):
            super().log_exception(*args, **settings)

    def _peer(self) -> str:
        return str(self.peername[0]) if isinstance(self.peername, tuple) else "a client"

    def drop(self) -> None:
        """Closes at once; unsent bytes are lost."""
        if self.transport is not None:
            self.transport.abort()


class Connections:
    """The open connections of a server; a factory of protocols for `create_server`.

    Args:
        server: aiohttp's server, which answers the requests.
        most: connections at once.
        header_seconds: time from a request's first byte, or from connecting, to its last header.
        idle_seconds: time between an answer and the next request; also for reading the answer.
    """

    def __init__(
        self, server: web.Server, most: int, header_seconds: float, idle_seconds: float
    ) -> None:
        self._server = server
        self._most = most
        self._header_seconds = header_seconds
        self._idle_seconds = idle_seconds
        # Loop times at which the connections came into their states; the oldest are first.
        self._headers: dict[Connection, float] = {}
        self._busy: dict[Connection, float] = {}
        self._idle: dict[Connection, float] = {}
        self._states = (self._headers, self._busy, self._idle)
        self._loop = asyncio.get_running_loop()
        self._watch = self._loop.create_task(self._close_late())
        self._draining = False

    def __call__(self) -> Connection:
        return Connection(
            self,
            self._server,
            loop=self._loop,
            access_log=None,
            # Later than our own limits, which tell headers from idle connections.
            keepalive_timeout=self._header_seconds + self._idle_seconds + 1,
        )

    def __len__(self) -> int:
        return sum(map(len, self._states))

    def _move(self, connection: Connection, to: dict[Connection, float]) -> None:
        if any([state.pop(connection, None) is not None for state in self._states]):
            to[connection] = self._loop.time()

    def opened(self, connection: Connection) -> None:
        """Adds a connection; at the cap drops one that waits, or else the new one."""
        if len(self) >= self._most:
            waits = next(iter(self._headers), None) or next(iter(self._idle), None)
            if waits is None:
                connection.drop()
                return
            self.lost(waits)
            waits.drop()
        self._headers[connection] = self._loop.time()

    def heard(self, connection: Connection) -> None:
        """Starts the time for headers at a request's first byte."""
        if connection in self._idle:
            self._move(connection, self._headers)

    def lost(self, connection: Connection) -> None:
        for state in self._states:
            state.pop(connection, None)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Marks the connection of a request as busy until the handler ends."""
        self._move(request.protocol, self._busy)  # type: ignore[arg-type]
        try:
            response = await handler(request)
            if self._draining:
                response.force_close()
            return response
        finally:
            self._move(request.protocol, self._idle)  # type: ignore[arg-type]

    async def _close_late(self) -> None:
        interval = min(1.0, self._header_seconds / 4, self._idle_seconds / 4)
        while True:
            await asyncio.sleep(interval)
            now = self._loop.time()
            for state, seconds in (
                (self._headers, self._header_seconds), (self._idle, self._idle_seconds)
            ):  # fmt: skip
                for connection in [c for c, since in state.items() if now - since > seconds]:
                    self.lost(connection)
                    connection.drop()

    async def drain(self, seconds: float) -> int:
        """Waits until all requests are answered, at most `seconds`; returns how many are not."""
        self._draining = True
        end = self._loop.time() + seconds
        await asyncio.sleep(min(_LAST_REQUESTS, seconds))
        while self._busy and self._loop.time() < end:
            await asyncio.sleep(0.02)
        self._watch.cancel()
        return len(self._busy)
