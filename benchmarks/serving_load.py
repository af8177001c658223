"""Clients of the built-in server that send reviews of split `eval`, one after another."""

from __future__ import annotations

import itertools
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.corpora import packaged, read_splits
from benchmarks.report import significant
from serving.client import Client

SHORT, LONG = 100, 400  # words


def texts(kind: str, count: int = 500) -> list[str]:
    """Reviews of split `eval`: "short", "long" or "all"."""
    held_out = read_splits(packaged("imdb"))["eval"]
    reviews = [str(record.features["text"]) for record in held_out]
    words = {review: len(review.split()) for review in reviews}
    fits: dict[str, Callable[[int], bool]] = {
        "short": lambda n: n <= SHORT, "long": lambda n: n >= LONG, "all": lambda n: True
    }  # fmt: skip
    return [review for review in words if fits[kind](words[review])][:count]


class Load:
    """Clients that send requests until the block ends; `seconds` are the latencies."""

    def __init__(self, asks: Sequence[Callable[[], None]]) -> None:
        self.seconds: list[float] = []
        self.failed: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(ask,)) for ask in asks]

    def _client(self, ask: Callable[[], None]) -> None:
        while not self._ended.is_set():
            started = time.perf_counter()
            try:
                ask()
            except Exception as error:
                self.failed.append(f"{type(error).__name__}: {error}"[:300])
            else:
                self.seconds.append(time.perf_counter() - started)

    def __enter__(self) -> Load:
        self.started = time.perf_counter()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self.elapsed = time.perf_counter() - self.started

    def percentile(self, q: float) -> float:
        """A percentile of the latencies, in ms."""
        return significant(1e3 * float(np.percentile(self.seconds, q)))

    def per_second(self) -> float:
        return significant(len(self.seconds) / self.elapsed)


def grpc_asker(address: str, reviews: Sequence[str], start: int = 0) -> Callable[[], None]:
    """Returns a function that sends the next review by gRPC."""
    client, turns = Client(address, timeout=60), in_turn(reviews, start)
    return lambda: _discard(client.classify_text([next(turns)], model="imdb"))


def rest_asker(address: str, reviews: Sequence[str], start: int = 0) -> Callable[[], None]:
    """Returns a function that sends the next review by REST."""
    turns = in_turn(reviews, start)

    def ask() -> None:
        body = json.dumps({"instances": [next(turns)]}).encode()
        url = f"http://{address}/v1/models/imdb:predict"
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:
            json.load(answer)

    return ask


def in_turn(reviews: Sequence[str], start: int) -> Iterator[str]:
    return itertools.cycle([*reviews[start:], *reviews[:start]])


def _discard(_: object) -> None:
    pass


def under_load(asks: Sequence[Callable[[], None]], seconds: float) -> Load:
    """Runs `seconds` of load, after one request of each client that is not counted."""
    for ask in asks:
        ask()
    with Load(asks) as load:
        time.sleep(seconds)
    if load.failed:
        raise RuntimeError(f"{len(load.failed)} requests failed, the first: {load.failed[0]}")
    return load
