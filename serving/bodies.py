"""Reads the bodies of REST requests with bounded memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from aiohttp import web

from serving.errors import ServingError, deadline_exceeded, invalid_argument

_LARGE = 1 << 20  # bytes


class Bodies:
    """Reads bodies; of those larger than 1 MiB only a few are in the server at once.

    Args:
        most_bytes: larger bodies get 413; counted after decompression.
        large: how many bodies above 1 MiB are read, parsed and answered at the same time. Others
            wait for their turn until their deadline.
    """

    def __init__(self, most_bytes: int, large: int) -> None:
        self._most_bytes = most_bytes
        self._large = asyncio.Semaphore(large)

    @asynccontextmanager
    async def read(self, request: web.Request, deadline: float) -> AsyncIterator[bytes]:
        """The body of a request; `deadline` is in seconds since the epoch.

        Raises:
            ServingError: INVALID_ARGUMENT for a damaged body, DEADLINE_EXCEEDED, CANCELLED if the
                client leaves before the end.
            web.HTTPRequestEntityTooLarge: if the body is larger than `most_bytes`.
        """
        holds = False
        try:
            if (request.content_length or 0) > self._most_bytes:
                raise self._too_large(request.content_length or 0)
            body = bytearray()
            while chunk := await _in_time(request.content.readany(), deadline):
                body += chunk
                if len(body) > self._most_bytes:
                    raise self._too_large(len(body))
                if len(body) > _LARGE and not holds:
                    holds = await _in_time(self._large.acquire(), deadline)
            yield bytes(body)
        except web.RequestPayloadError as error:
            # aiohttp: "400, message:\n  Can not decode content-encoding: gzip"
            reason = str(error).rpartition("message:")[2]
            raise invalid_argument(f"Cannot read the body: {' '.join(reason.split())}") from error
        except ConnectionError as error:
            raise ServingError(grpc.StatusCode.CANCELLED, "the client left") from error
        finally:
            if holds:
                self._large.release()

    def _too_large(self, size: int) -> web.HTTPRequestEntityTooLarge:
        return web.HTTPRequestEntityTooLarge(max_size=self._most_bytes, actual_size=size)


async def _in_time(waits, deadline: float):  # type: ignore[no-untyped-def]
    try:
        return await asyncio.wait_for(waits, max(0.0, deadline - time.time()))
    except asyncio.TimeoutError as error:
        raise deadline_exceeded() from error
