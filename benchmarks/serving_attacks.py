"""Latency of a normal client of the built-in server beside hostile ones.

Attacks: more half-sent REST requests than the server has file descriptors, which connect again when
they are dropped; and six clients that send millions of rows in each body.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import selectors
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import significant
from benchmarks.server_process import ServerProcess, server
from benchmarks.serving_load import in_turn, texts
from serving.client import Client

HALF_SENT, DESCRIPTORS = 1100, 1024
LARGE_CLIENTS, LARGE_ROWS = 6, 3_700_000
_TIMEOUT = 5.0  # seconds that a normal client waits
_WARM_UP = 2.0  # seconds of attack before latencies count
_HALF = b"POST /v1/models/imdb:predict HTTP/1.1\r\nHost: x\r\nX-Slow: "


def run(root: Path, seconds: float) -> dict[str, dict[str, Any]]:
    """Figures of a normal client's REST, gRPC and /healthz requests without and under attack.

    Returns:
        By "attack API": p50_ms, p99_ms, max_ms of answered tries, `tries`, `failed`, and memory_mib
        of the server, the highest seen.
    """
    attacks: dict[str, Callable[[str], contextlib.AbstractContextManager[None]]] = {
        "none": lambda _: contextlib.nullcontext(),
        "half-sent": _half_sent,
        "large bodies": _large_bodies,
    }
    found: dict[str, dict[str, Any]] = {}
    for name, attack in attacks.items():
        with server("imdb", root, descriptors=DESCRIPTORS) as running:
            with attack(running.rest):
                time.sleep(_WARM_UP)
                found.update(
                    {f"{name} {api}": figures for api, figures in _measure(running, seconds)}
                )
            time.sleep(1)
    return found


def _measure(running: ServerProcess, seconds: float) -> list[tuple[str, dict[str, Any]]]:
    ended = threading.Event()
    clients = [_Normal(api, ask, ended) for api, ask in _asks(running).items()]
    end, memory = time.monotonic() + seconds, 0.0
    for client in clients:
        client.start()
    while time.monotonic() < end:
        memory = max(memory, running.memory_mib())
        time.sleep(0.05)
    ended.set()
    for client in clients:
        client.join()
    return [(c.api, c.figures() | {"memory_mib": significant(memory)}) for c in clients]


class _Normal(threading.Thread):
    """A client that sends a request, waits for the answer, and rests a little."""

    def __init__(self, api: str, ask: Callable[[], None], ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.api, self._ask, self._ended = api, ask, ended
        self._seconds: list[float] = []
        self._failed = 0

    def run(self) -> None:
        while not self._ended.is_set():
            started = time.perf_counter()
            try:
                self._ask()
            except Exception:
                self._failed += 1
            else:
                self._seconds.append(time.perf_counter() - started)
            self._ended.wait(0.02)

    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = dict.fromkeys(("p50_ms", "p99_ms", "max_ms"))
        if self._seconds:
            for key, q in zip(found, (50, 99, 100), strict=True):
                found[key] = significant(1e3 * float(np.percentile(self._seconds, q)))
        return found | {"tries": len(self._seconds) + self._failed, "failed": self._failed}


def _asks(running: ServerProcess) -> dict[str, Callable[[], None]]:
    """A new connection for each try, as a client that comes during the attack has."""
    turns = in_turn(texts("short"), 0)

    def rest() -> None:
        body = json.dumps({"instances": [next(turns)]}).encode()
        url = f"http://{running.rest}/v1/models/imdb:predict"
        urllib.request.urlopen(urllib.request.Request(url, body), timeout=_TIMEOUT).read()

    def grpc() -> None:
        with Client(running.grpc, timeout=_TIMEOUT) as client:
            client.classify_text([next(turns)], model="imdb")

    def healthz() -> None:
        urllib.request.urlopen(f"http://{running.rest}/healthz", timeout=_TIMEOUT).read()

    return {"rest": rest, "grpc": grpc, "healthz": healthz}


@contextlib.contextmanager
def _half_sent(address: str) -> Iterator[None]:
    """Keeps HALF_SENT connections with half a request; dropped ones come back every second."""
    ended = threading.Event()
    host, _, port = address.rpartition(":")

    def attack() -> None:
        with selectors.DefaultSelector() as watched:
            while not ended.wait(1):
                for key, _ in watched.select(0):
                    watched.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
                while len(watched.get_map()) < HALF_SENT:
                    client = socket.socket()
                    client.setblocking(False)
                    client.connect_ex((host, int(port)))
                    with contextlib.suppress(OSError):
                        client.setblocking(True)
                        client.settimeout(0.05)
                        client.sendall(_HALF)
                    watched.register(client, selectors.EVENT_READ)
            for key in list(watched.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]

    yield from _in_threads([attack], ended)


@contextlib.contextmanager
def _large_bodies(address: str) -> Iterator[None]:
    """LARGE_CLIENTS clients send LARGE_ROWS rows in a body, again and again."""
    ended = threading.Event()
    body = b'{"instances": [' + b'"",' * LARGE_ROWS + b'""]}'

    def attack() -> None:
        while not ended.is_set():
            client = http.client.HTTPConnection(address, timeout=60)
            with contextlib.suppress(OSError, http.client.HTTPException):
                client.request("POST", "/v1/models/imdb:predict", body)
                client.getresponse().read()
            client.close()

    yield from _in_threads([attack] * LARGE_CLIENTS, ended)


def _in_threads(attacks: Sequence[Callable[[], None]], ended: threading.Event) -> Iterator[None]:
    threads = [threading.Thread(target=attack, daemon=True) for attack in attacks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
