"""Threads that answer requests, with a bound on how many requests may be in the server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import grpc

from serving.errors import ServingError, deadline_exceeded

Answer = TypeVar("Answer")


class Workers:
    """Runs requests' work in threads, off the event loop.

    Args:
        threads: requests worked on at a time. A batch is made of requests that wait in
            threads, so twice the largest batch is a good number.
        most: requests in the server, those that wait for a thread included; one more is
            refused.
    """

    def __init__(self, threads: int, most: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._most = most
        self._in_flight = 0
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int:
        return self._in_flight

    async def run(self, work: Callable[[], Answer], deadline: float) -> Answer:
        """What `work` returns; `deadline` is in seconds since the epoch.

        Work whose deadline has passed, or whose client has gone, before a thread was free is
        not begun. Work that runs when its deadline passes goes on and counts until its end.

        Raises:
            ServingError: RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED.
            Exception: whatever `work` raises.
        """
        with self._lock:
            if self._in_flight >= self._most:
                raise ServingError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"{self._most} requests are in the server already: try again later",
                )
            self._in_flight += 1
        future: Future[Answer] = self._pool.submit(_unless_late, work, deadline)
        future.add_done_callback(self._count_down)
        left = None if deadline == float("inf") else max(0.0, deadline - time.time())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), left)
        except asyncio.TimeoutError as error:
            raise deadline_exceeded() from error

    def _count_down(self, _: Future) -> None:
        with self._lock:
            self._in_flight -= 1

    def stop(self) -> None:
        """Waits for what runs; what waits is not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _unless_late(work: Callable[[], Answer], deadline: float) -> Answer:
    if time.time() >= deadline:
        raise deadline_exceeded()
    return work()
