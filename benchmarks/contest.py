"""Runs contestants one after another and enforces their limits.

A contestant that exceeds a limit is reported: its figures are null, with a reason.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.measurement import INPUTS, RECORDS, SETTINGS
from benchmarks.report import ROOT, commit, hardware, median, quartiles, significant

PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
# Makes a process's size equal the memory that it uses: without pools, and with a mapping for each
# larger block, freed memory (TensorFlow's too) returns to the system immediately.
MEMORY_SHOWS = {
    "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Contestant:
    """A measured implementation: its name in tables and JSON, and its module."""

    name: str
    module: str  # run by its full name
    peer: bool = False  # runs in the peers' Python
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """Number of repeats, and the limits of each contestant."""

    repeats: int  # minimum number of timed calls
    budget_s: float  # for the timed calls of a part; reduces their number
    limit_s: float  # for a part with compilation; the contestant is then killed
    memory_gib: float  # of a contestant's process; above, it is killed
    load_before: float = 0.0  # load average of the machine at the start
    working_memory: bool = True  # whether a second process measures a call's memory


class Result(dict):
    """A contestant's record of one part, with its arrays under "arrays", or a "reason" instead.

    `broken` is true if the contestant failed, false if it exceeded a limit.
    """

    broken = False


def parser(
    description: str | None, timed: bool = True, tasks: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Adds the options of a contest to those of every benchmark.

    Args:
        timed: whether to add the options about repeated calls, their times and their memory.
    """
    options = report.parser(description, tasks)
    if timed:
        options.add_argument("--repeats", type=int, default=10, help="timed calls (default: 10)")
        options.add_argument(
            "--budget",
            type=float,
            default=60,
            help="seconds for all timed calls; reduces their number (60)",
        )
        options.add_argument(
            "--no-memory", action="store_true", help="skip the memory of a call: half the time"
        )
    else:
        options.set_defaults(repeats=1, budget=0.0, no_memory=True)
    options.add_argument(
        "--limit", type=float, default=600, help="seconds for a part, with compilation (600)"
    )
    options.add_argument(
        "--memory", type=float, help="GiB of a contestant (three quarters of what is free)"
    )
    options.add_argument("--only", nargs="+", metavar="NAME", help="only these contestants")
    return options


def limits(options: argparse.Namespace) -> Limits:
    memory = options.memory or 0.75 * _available_gib()
    return Limits(
        repeats=options.repeats,
        budget_s=options.budget,
        limit_s=options.limit,
        memory_gib=memory,
        load_before=os.getloadavg()[0],
        working_memory=not options.no_memory,
    )


def chosen(contestants: Sequence[Contestant], only: Sequence[str] | None) -> list[Contestant]:
    """Returns the contestants named in `only`, or all."""
    unknown = set(only or ()) - {contestant.name for contestant in contestants}
    if unknown:
        names = ", ".join(contestant.name for contestant in contestants)
        sys.exit(f"--only: expected some of {names}; got {', '.join(sorted(unknown))}")
    return [c for c in contestants if not only or c.name in only]


def hold(
    contestant: Contestant,
    parts: Sequence[str],
    inputs: Mapping[str, np.ndarray],
    limits: Limits,
    what: str,
    **settings: Any,
) -> dict[str, Result]:
    """Runs one contestant: a process for its times, and one for its memory.

    Memory needs its own process, as MEMORY_SHOWS costs time.

    Args:
        parts: to record, in that order.
        inputs: the contestant's arrays.
        what: description in the progress line.
        settings: added to the contestant's own, which take precedence.

    Returns:
        The Result of each of `parts`.
    """
    if contestant.peer and not PEERS_PYTHON.exists():
        return {part: Result(reason="no .venv-peers: run make peers") for part in parts}
    print(f"{what}: {contestant.name} ...", end=" ", file=sys.stderr, flush=True)
    started = time.monotonic()
    settings |= contestant.settings
    results = _run(contestant, parts, inputs, limits, settings | {"measure": "times"})
    timed = [part for part, result in results.items() if "reason" not in result]
    for part in timed:
        results[part]["working_mib"] = None
    if timed and limits.working_memory:
        of_memory = _run(contestant, timed, inputs, limits, settings | {"measure": "memory"})
        for part in timed:
            results[part]["working_mib"] = of_memory[part].get("working_mib")
            results[part].broken |= of_memory[part].broken
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return results


def _run(
    contestant: Contestant,
    parts: Sequence[str],
    inputs: Mapping[str, Any],
    limits: Limits,
    settings: Mapping[str, Any],
) -> dict[str, Result]:
    """Runs one process; returns its record of each part, or the reason why there is none."""
    python = str(PEERS_PYTHON if contestant.peer else sys.executable)
    # Silences TensorFlow's and PyTorch's startup messages, which would hide a real one.
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    environment["HF_HUB_OFFLINE"] = "1"  # no downloads
    if settings["measure"] == "memory":
        environment |= MEMORY_SHOWS
    with tempfile.TemporaryDirectory(prefix="tf-mamba-bench-") as name:
        folder = Path(name)
        np.savez(folder / INPUTS, **inputs)
        given = {
            **settings,
            "parts": list(parts),
            "repeats": limits.repeats,
            "budget_s": limits.budget_s,
            "threads": os.cpu_count(),
        }
        (folder / SETTINGS).write_text(json.dumps(given))
        (folder / RECORDS).touch()
        command = [python, "-m", contestant.module, name]
        with (folder / "output.txt").open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                over = _watch(process, folder / RECORDS, limits)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        results = dict.fromkeys(parts, Result(reason=over))
        if over is None:
            results = dict.fromkeys(parts, _failure(process.returncode, folder / "output.txt"))
        for line in (folder / RECORDS).read_text().splitlines():
            result = Result(json.loads(line))
            arrays = folder / f"{result['part']}.npz"
            if arrays.exists():
                with np.load(arrays) as file:
                    result["arrays"] = {key: file[key] for key in file.files}
            results[result["part"]] = result
    return results


def _failure(status: int, output: Path) -> Result:
    """The Result of a part that the process did not record before its end."""
    said = output.read_text(errors="replace").strip().splitlines()
    if status:
        print("\n".join(["failed", *said[-20:]]), file=sys.stderr)
    why = f"exit status {status}: {said[-1] if said else 'no output'}"
    result = Result(reason=f"failed, {why}")
    result.broken = True
    return result


def _watch(process: subprocess.Popen, records: Path, limits: Limits) -> str | None:
    """Waits for the end of the process; returns the limit that it exceeded, if any."""
    recorded, since = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(_POLL_SECONDS)
        if (size := records.stat().st_size) != recorded:
            recorded, since = size, time.monotonic()
        if time.monotonic() - since > limits.limit_s:
            return f"over {limits.limit_s:g} s"
        if _resident_gib(process.pid) > limits.memory_gib:
            return f"over {limits.memory_gib:.3g} GiB"
    return None


def _resident_gib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # the process has just ended
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


def _available_gib() -> float:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 2**20
    raise RuntimeError("/proc/meminfo: expected a line MemAvailable, got none: not Linux?")


def figures(name: str, result: Result, unit: str = "ms") -> dict[str, Any]:
    """The JSON keys of a result: NAME_ms (the median), quartiles, repeats, memory; or its reason.

    `unit` is "ms", or "tokens_per_s" with the tokens of a call under "tokens".
    """
    if "reason" in result:
        return {f"{name}_{unit}": None, f"{name}_reason": result["reason"]}
    values = result["ms"]
    if unit == "tokens_per_s":
        values = [1e3 * result["tokens"] / ms for ms in values]
    return {
        f"{name}_{unit}": median(values),
        f"{name}_quartiles": quartiles(values),
        f"{name}_repeats": len(values),
        f"{name}_peak_mib": round(result["peak_mib"]),
        f"{name}_working_mib": result["working_mib"] and significant(result["working_mib"], 3),
    }


def origin(results: Iterable[Result], limits: Limits) -> dict[str, Any]:
    """The JSON keys for the origin of figures. A `load_before` above about 0.5 means
    that other work was running, which distorts them.
    """
    versions: dict[str, str] = {}
    for result in results:
        versions |= result.get("versions", {})
    return {
        "commit": commit(),
        "hardware": hardware(),
        "threads": os.cpu_count(),
        "load_before": round(limits.load_before, 2),
        "versions": versions,
    }


def missing(results: Mapping[str, Result]) -> dict[str, str]:
    """The reasons of the contestants without figures."""
    return {name: result["reason"] for name, result in results.items() if "reason" in result}


def measured(results: Mapping[str, Result]) -> dict[str, Result]:
    """The contestants with figures."""
    return {name: result for name, result in results.items() if "reason" not in result}


def exit_status(results: Iterable[Result]) -> int:
    """1 if a contestant failed; exceeding a limit is no failure."""
    return int(any(result.broken for result in results))
