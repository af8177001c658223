"""Prometheus metrics of a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from serving.errors import ServingError

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counts and times requests; `page()` returns them in Prometheus's text format."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        labels = ("api", "method")
        self._requests = Counter(
            "serving_requests", "Requests by outcome", (*labels, "code"), registry=self._registry
        )
        self._seconds = Histogram(
            "serving_request_seconds",
            "Seconds from a request's arrival to its answer",
            labels,
            buckets=_SECONDS,
            registry=self._registry,
        )

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Adds a value that is read for each page."""
        Gauge(name, text, registry=self._registry).set_function(value)

    @contextmanager
    def request(self, api: str, method: str) -> Iterator[None]:
        """Counts and times the request that the block answers; a ServingError gives its code."""
        started = time.perf_counter()
        code = "INTERNAL"
        try:
            yield
            code = "OK"
        except ServingError as error:
            code = error.code.name
            raise
        finally:
            self._requests.labels(api, method, code).inc()
            self._seconds.labels(api, method).observe(time.perf_counter() - started)

    def page(self) -> bytes:
        return generate_latest(self._registry)
