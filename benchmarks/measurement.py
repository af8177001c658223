"""What runs inside a contestant's process: times and memory of a call.

A contestant reads `settings.json` and its arrays from the folder that it is given, and adds
a line to `records.jsonl` there as soon as it knows a result, so that what was measured
survives when a later part goes over its limit. Standard library and numpy only: this runs in
the peers' Python too.
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
LEAST_SECONDS = 1.0  # fast calls are repeated beyond `repeats` until this is filled
MOST_REPEATS = 200
MEMORY_CALLS = 5
_PR_SET_PDEATHSIG = 1  # prctl(2)
Result = TypeVar("Result")
MIB = 1024  # of the kilobytes in which Linux counts a process's memory


class Contest:
    """The contestant's side of the folder: `settings`, `inputs`, and `record`.

    `packages` are those whose versions are recorded beside every result.
    """

    def __init__(self, *packages: str) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # does not outlive the benchmark
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
        """Records times of `call` under `part`, or its memory, as the settings ask.

        With the times go `values`, and what `arrays` makes of the last call's result.
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
        """Records why this contestant cannot be measured here."""
        for part in self.settings["parts"]:
            self.record(part, reason=reason)

    def record(self, part: str, **values: Any) -> None:
        """Writes down what is known of `part`."""
        line = json.dumps({"part": part, "versions": self._versions, **values})
        with (self.folder / RECORDS).open("a") as file:
            file.write(line + "\n")


def times(call: Callable[[], Any], repeats: int, budget_s: float) -> tuple[dict, Any]:
    """Times `call`, which must not return before its result is there.

    The first call, which may compile, does not count. Then come `repeats` calls, more if
    they take less than LEAST_SECONDS, and fewer, but at least one, where they would take
    more than `budget_s` together.

    Returns:
        A dict, and the last call's result:
        first_ms: milliseconds of the first call.
        ms: of each timed call.
        peak_mib: the most memory that the process ever had, libraries and compiling included.
    """
    first_ms, result = _timed(call)

    def sample() -> float:
        nonlocal result
        result = None  # gone before the next is made, or memory would hold two
        milliseconds, result = _timed(call)
        return milliseconds

    ms = repeat(sample, repeats, budget_s, LEAST_SECONDS)
    return {"first_ms": first_ms, "ms": ms, "peak_mib": memory_mib("VmHWM")}, result


def repeat(
    sample: Callable[[], Result], repeats: int, budget_s: float, least_s: float = 0.0
) -> list[Result]:
    """Results of `repeats` calls: more to fill `least_s`, fewer, but one, to keep `budget_s`."""
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
    """The most memory in a call, when all is compiled, beyond what was there before: its
    results and whatever it needs between, but not its inputs.

    The most of several calls, if the budget allows: what runs side by side does not
    always meet. None where the system does not let the mark be reset.
    """
    call()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # or memory that was freed before would serve unseen
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
    """VmRSS (memory now) or VmHWM (its most so far) of this process, or of another by its id.

    Not getrusage's ru_maxrss, which a process inherits from the one that started it.
    """
    status = Path("/proc", str(process), "status")
    for line in status.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / MIB
    raise ValueError(f"{status}: expected a line {field!r}, got none: not Linux?")
