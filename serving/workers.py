"""Threads that answer requests, with a limit on the number of requests in the server."""

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
    """Runs the work of requests in threads, outside the event loop.

    Args:
        threads: requests processed at the same time. Requests wait in their threads for a batch,
            so use about twice the largest batch.
        most: requests in the server, including those that wait for a thread; one more is refused.
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
        """The result of `work`; `deadline` is in seconds since the epoch.

        Work is not started if its deadline has passed or its client has gone when a thread becomes
        free. Work that runs when its deadline passes continues, and counts until it ends.

        Raises:
            ServingError: RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED.
            Exception: whatever `work` raises.
        """
        with self._lock:
            if self._in_flight >= self._most:
                raise ServingError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"{self._most} requests are in the server already; try again later",
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
        """Waits for running work; work that waits for a thread is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _unless_late(work: Callable[[], Answer], deadline: float) -> Answer:
    if time.time() >= deadline:
        raise deadline_exceeded()
    return work()
