"""Runs inside a contestant's process: measures times and memory of a call.

A contestant reads `settings.json` and its arrays from its folder, and appends a line to
`records.jsonl` after each result, so that a result survives if a later part exceeds a limit.
Imports only the standard library and numpy, as it also runs in the peers' Python.
"""

from __future__ import annotations

import ctypes
import gc
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

SETTINGS, RECORDS, INPUTS = "settings.json", "records.jsonl", "inputs.npz"
LEAST_SECONDS = 1.0  # fast calls are repeated more than `repeats` times to fill this
MOST_REPEATS = 200
MEMORY_CALLS = 5
_PR_SET_PDEATHSIG = 1  # prctl(2)
Result = TypeVar("Result")
MIB = 1024  # in kilobytes, Linux's unit of a process's memory


class Contest:
    """The contestant's side of the folder: `settings`, `inputs`, and `record`.

    Records the versions of `packages` with each result.
    """

    def __init__(self, *packages: str) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # ends with the benchmark
        self._versions = {package: metadata.version(package) for package in packages}
        self.folder = Path(sys.argv[1])
        self.settings: dict[str, Any] = json.loads((self.folder / SETTINGS).read_text())
        with np.load(self.folder / INPUTS) as arrays:
            self.inputs = {name: arrays[name] for name in arrays.files}

    def measure(
        self,
        part: str,
        call: Callable[[], Any],
        arrays: Callable[[Any], Mapping[str, Any]] | None = None,
        **values: Any,
    ) -> None:
        """Records times of `call` under `part`, or its memory, depending on the settings.

        With the times, records `values`, and the arrays that `arrays` returns for the last result.
        """
        if self.settings["measure"] == "memory":
            self.record(part, working_mib=working_mib(call, self.settings["budget_s"]))
            return
        measured, result = times(call, self.settings["repeats"], self.settings["budget_s"])
        if arrays is not None:
            np.savez(self.folder / f"{part}.npz", **arrays(result))
        self.record(part, **measured, **values)

    def repeat(self, sample: Callable[[], Result]) -> list[Result]:
        """`repeat` with the settings' repeats and budget."""
        return repeat(sample, self.settings["repeats"], self.settings["budget_s"])

    def give_up(self, reason: str) -> None:
        """Records why this contestant cannot be measured."""
        for part in self.settings["parts"]:
            self.record(part, reason=reason)

    def record(self, part: str, **values: Any) -> None:
        """Appends a record of `part`."""
        line = json.dumps({"part": part, "versions": self._versions, **values})
        with (self.folder / RECORDS).open("a") as file:
            file.write(line + "\n")


def times(call: Callable[[], Any], repeats: int, budget_s: float) -> tuple[dict, Any]:
    """Times `call`, which must return only once its result is complete.

    The first call, which may compile, is not counted. Then there are `repeats` calls: more if
    they take less than LEAST_SECONDS, fewer (but at least one) if they would take more than
    `budget_s`.

    Returns:
        A dict, and the last call's result:
        first_ms: milliseconds of the first call.
        ms: of each timed call.
        peak_mib: the process's peak memory, with libraries and compilation.
    """
    first_ms, result = _timed(call)

    def sample() -> float:
        nonlocal result
        result = None  # freed before the next call, or memory would hold two results
        milliseconds, result = _timed(call)
        return milliseconds

    ms = repeat(sample, repeats, budget_s, LEAST_SECONDS)
    return {"first_ms": first_ms, "ms": ms, "peak_mib": memory_mib("VmHWM")}, result


def repeat(
    sample: Callable[[], Result], repeats: int, budget_s: float, least_s: float = 0.0
) -> list[Result]:
    """Results of `repeats` calls: more to fill `least_s`, fewer (but one) to keep `budget_s`."""
    results: list[Result] = []
    started = time.perf_counter()
    while len(results) < MOST_REPEATS:
        spent = time.perf_counter() - started
        if len(results) >= repeats and spent >= least_s:
            break
        if results and spent * (len(results) + 1) / len(results) > budget_s:
            break
        results.append(sample())
    return results


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return 1e3 * (time.perf_counter() - started), result


def working_mib(call: Callable[[], Any], budget_s: float = 60.0) -> float | None:
    """Peak memory of a call after compilation, minus the memory before it: results and
    intermediate values, but not inputs.

    The maximum of several calls, if the budget allows, as parallel operations do not always
    overlap. None if the system does not allow resetting the peak.
    """
    call()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # or the call would reuse freed memory, which is not counted
    before = memory_mib("VmRSS")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM to VmRSS: proc(5)
    except OSError:
        return None

    def forget() -> None:
        call()

    repeat(forget, MEMORY_CALLS, budget_s, LEAST_SECONDS)
    return memory_mib("VmHWM") - before


def memory_mib(field: str, process: int | str = "self") -> float:
    """VmRSS (current memory) or VmHWM (its peak) of this process, or of another by its id.

    getrusage's ru_maxrss does not serve, as a process inherits it from its parent.
    """
    status = Path("/proc", str(process), "status")
    for line in status.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / MIB
    raise ValueError(f"{status}: expected a line {field!r}, got none: not Linux?")
