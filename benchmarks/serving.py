"""The built-in server under load: latency, throughput, memory, hot swaps, fuzz, attacks.

Server and load generator are two processes on this machine. The reviews are from split `eval`;
short ones have at most 100 words, long ones at least 400. A client sends its next request when
the previous one is answered. The models are the newest pushed ones; if one is missing, nothing
is measured and the exit code is 2.

    python -m benchmarks.serving [--root FOLDER] [--only latency throughput ...]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import serving_attacks, serving_fuzz
from benchmarks.report import commit, hardware, json_line, parser, significant, table
from benchmarks.server_process import server
from benchmarks.serving_load import Load, grpc_asker, in_turn, rest_asker, texts, under_load
from data.errors import UserError
from pipeline.pushed_models import model as pushed_model
from serving.client import Client

NO_MODEL = 2  # exit code
BATCHING = {"batched": (), "alone": ("--no-batching",)}


def load(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds to start, and size of the SavedModel, for each task."""
    found = {}
    for task in given.tasks:
        with server(task, given.root) as running:
            files = [path for path in running.folder.rglob("*") if path.is_file()]
            found[task] = {
                "start_s": significant(running.start_s),
                "load_s": running.load_s,
                "model_mib": significant(sum(f.stat().st_size for f in files) / 2**20),
                "memory_mib": significant(running.memory_mib()),
            }
    rows = [(task, *values.values()) for task, values in found.items()]
    columns = ("task", "start s", "load and warm-up s", "SavedModel MiB", "memory MiB")
    table("load", columns, rows)
    return found


def latency(given: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds per request of one client."""
    found: dict[str, Any] = {}
    with server("imdb", given.root) as running:
        for kind in ("short", "long"):
            reviews = texts(kind)
            for api, ask in (
                ("grpc", grpc_asker(running.grpc, reviews)),
                ("rest", rest_asker(running.rest, reviews)),
            ):
                result = under_load([ask], given.seconds)
                found[f"{kind}_{api}"] = {
                    "p50_ms": result.percentile(50),
                    "p99_ms": result.percentile(99),
                    "requests": len(result.seconds),
                }
    rows = [(name, *values.values()) for name, values in found.items()]
    table("latency at 1 client", ("reviews, API", "p50 ms", "p99 ms", "requests"), rows)
    return found


def throughput(given: argparse.Namespace) -> dict[str, Any]:
    """Requests per second of several clients, by gRPC."""
    found: dict[str, Any] = {}
    for how, arguments in BATCHING.items():
        with server("imdb", given.root, arguments) as running:
            for kind, clients in itertools.product(("short", "long"), given.clients):
                reviews = texts(kind)
                starts = np.linspace(0, len(reviews), clients, endpoint=False).astype(int)
                asks = [grpc_asker(running.grpc, reviews, start) for start in starts]
                before = running.cpu_s()
                result = under_load(asks, given.seconds)
                found[f"{kind}_{clients}_{how}"] = {
                    "per_s": result.per_second(),
                    "p50_ms": result.percentile(50),
                    "p99_ms": result.percentile(99),
                    "server_cores": significant((running.cpu_s() - before) / result.elapsed, 2),
                }
    rows = [(*name.split("_"), *values.values()) for name, values in found.items()]
    columns = ("reviews", "clients", "how", "requests/s", "p50 ms", "p99 ms", "server's cores")
    table("throughput", columns, rows)
    return found


def generation(given: argparse.Namespace) -> dict[str, Any]:
    """Tokens per second of all clients together."""
    found: dict[str, Any] = {}
    prompts = ["And the LORD said unto Moses,", "In the beginning", "Blessed are"]
    with server("bible", given.root) as running:
        for clients in given.clients:
            counts: list[int] = []

            asks = [
                _generation_asker(running.grpc, in_turn(prompts, i % len(prompts)), counts)
                for i in range(clients)
            ]
            result = under_load(asks, given.seconds)
            counted = sum(counts[clients:])  # without each client's first request
            found[str(clients)] = {
                "tokens_per_s": significant(counted / result.elapsed),
                "p50_ms": result.percentile(50),
                "p99_ms": result.percentile(99),
            }
    rows = [(name, *values.values()) for name, values in found.items()]
    columns = ("clients", "tokens/s", "p50 ms", "p99 ms")
    table("generation, 100 new tokens per request", columns, rows)
    return found


def _generation_asker(
    address: str, prompts: Iterator[str], counts: list[int]
) -> Callable[[], None]:
    client = Client(address, timeout=120)

    def ask() -> None:
        (answer,) = client.generate([next(prompts)], model="bible", max_new_tokens=100)
        counts.append(answer.tokens)

    return ask


def memory(given: argparse.Namespace) -> dict[str, Any]:
    """The server's memory after few requests and after many."""
    counts = (100, given.memory_requests)
    found: dict[str, Any] = {}
    with server("imdb", given.root) as running:
        reviews = texts("all", 2500)
        asks = [grpc_asker(running.grpc, reviews, i * 100) for i in range(6)]
        asks += [rest_asker(running.rest, reviews, i * 100 + 50) for i in range(2)]
        done = 0
        for count in counts:
            with Load(asks) as clients:
                while done + len(clients.seconds) < count and not clients.failed:
                    time.sleep(0.05)
            if clients.failed:
                raise RuntimeError(f"a request failed: {clients.failed[0]}")
            done += len(clients.seconds)
            found[f"after_{count}_mib"] = significant(running.memory_mib())
    found["ratio"] = significant(found[f"after_{counts[1]}_mib"] / found["after_100_mib"])
    table("memory of the server", tuple(found), [tuple(found.values())])
    return found


def swaps(given: argparse.Namespace) -> dict[str, Any]:
    """Failed requests during changes of version."""
    with server("imdb", given.root) as running:
        reviews = texts("short")
        asks = [grpc_asker(running.grpc, reviews, i * 20) for i in range(6)]
        asks += [rest_asker(running.rest, reviews, i * 20 + 10) for i in range(2)]
        before = running.memory_mib()
        with Load(asks) as clients:
            for _ in range(given.swaps):
                running.push()
        found = {
            "swaps": given.swaps,
            "requests": len(clients.seconds) + len(clients.failed),
            "failed": len(clients.failed),
            "p99_ms": clients.percentile(99),
            "memory_before_mib": significant(before),
            "memory_after_mib": significant(running.memory_mib()),
            "failures": clients.failed[:3],
        }
    columns = [name for name in found if name != "failures"]
    table("hot swaps under load", columns, [[found[name] for name in columns]])
    return found


def fuzz(given: argparse.Namespace) -> dict[str, Any]:
    """Malformed requests; the server must answer each, and still answer correctly afterwards."""
    found: dict[str, Any] = {}
    for task in given.tasks:
        with server(task, given.root) as running:
            found[task] = serving_fuzz.run(running, given.fuzz_requests, given.seed)
            found[task]["memory_mib"] = significant(running.memory_mib())
    rows = [
        (task, result["requests"], result["crashes"], result["hangs"], result["undocumented"])
        for task, result in found.items()
    ]
    table("fuzz", ("task", "requests", "crashes", "hangs", "undocumented errors"), rows)
    return found


def attacks(given: argparse.Namespace) -> dict[str, Any]:
    """A normal client beside half-sent requests, and beside large bodies."""
    found = serving_attacks.run(given.root, given.seconds)
    rows = [(name, *values.values()) for name, values in found.items()]
    columns = ("attack, API", "p50 ms", "p99 ms", "max ms", "tries", "failed", "memory MiB")
    table("a normal client under attack", columns, rows)
    return found


SECTIONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    section.__name__: section
    for section in (load, latency, throughput, generation, memory, swaps, fuzz, attacks)
}


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--root", type=Path, default=Path(), help="folder of serving_models/")
    options.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    options.add_argument("--tasks", nargs="+", default=["imdb", "bible"], help="for load and fuzz")
    options.add_argument("--seconds", type=float, default=10.0, help="of each load (10)")
    options.add_argument("--clients", nargs="+", type=int, default=[1, 8, 32])
    options.add_argument("--memory-requests", type=int, default=10_000)
    options.add_argument("--swaps", type=int, default=20)
    options.add_argument("--fuzz-requests", type=int, default=20_000, help="per task")
    options.add_argument("--seed", type=int, default=1, help="of the fuzz")
    given = options.parse_args(arguments)
    if missing := _not_pushed(given):
        print(f"serving: not measured, {missing}", file=sys.stderr)
        return NO_MODEL
    record: dict[str, Any] = {"bench": "serving"}
    for name in given.only:
        record[name] = SECTIONS[name](given)
    json_line(record | {"hardware": hardware(), "commit": commit()}, given.out)
    return 0 if _within_bounds(record) else 1


def _not_pushed(given: argparse.Namespace) -> str | None:
    """The pushed model that is missing, and how to get it; None if there is none."""
    needs = {"load": given.tasks, "fuzz": given.tasks, "generation": ["bible"]}
    try:
        for task in sorted({task for name in given.only for task in needs.get(name, ["imdb"])}):
            pushed_model.latest_version(given.root / "serving_models", task)
    except UserError as error:
        return str(error)
    return None


def _within_bounds(record: dict[str, Any]) -> bool:
    """No failed request in swaps or attacks; no crash, hang or undocumented error in the fuzz."""
    fuzzed = record.get("fuzz", {}).values()
    bad = sum(f["crashes"] + f["hangs"] + f["undocumented"] for f in fuzzed)
    bad += sum(client["failed"] for client in record.get("attacks", {}).values())
    return bad + record.get("swaps", {}).get("failed", 0) == 0


if __name__ == "__main__":
    sys.exit(main())
