"""How the scan's time and memory grow with length: forward and backward, ours.

The exponent p is that of the fit c l**p, over all lengths and over those from 4,096, where
fixed costs no longer matter. Memory is that of a call without its inputs; it is compared with
linear growth from length 4,096. Each length has its own processes.
"""

from __future__ import annotations

import sys

from benchmarks.contest import Contestant, Result, exit_status, hold, limits, origin, parser
from benchmarks.report import exponent, json_line, median, quartiles, significant, table
from benchmarks.scan_reference import inputs

OURS = Contestant("ours", "benchmarks.contestants.scan_tensorflow")
LARGE = 4096
LENGTHS = [2**k for k in range(8, 17)]  # 256 to 65,536


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--length", nargs="+", type=int, default=LENGTHS)
    options.add_argument(
        "--sizes",
        type=lambda given: tuple(map(int, given.split(","))),
        default=(2, 128, 16),
        help="b,d_inner,d_state (2,128,16)",
    )
    options.add_argument("--shards", type=int, help="parts of the batch (as in training)")
    options.add_argument("--scan", choices=("ours", "ours_native"), default="ours")
    given = options.parse_args(arguments)
    b, d, n = given.sizes
    held_to = limits(given)
    results: dict[int, Result] = {}
    for length in sorted(given.length):
        arrays = inputs(b, length, d, n)
        settings = {"shards": given.shards, "scan": given.scan}
        what = f"growth, length {length}"
        result = hold(OURS, ["fwd_bwd"], arrays, held_to, what, **settings)["fwd_bwd"]
        result.pop("arrays", None)
        results[length] = result
    times = {length: median(r["ms"]) for length, r in results.items() if "ms" in r}
    memory = {length: r["working_mib"] for length, r in results.items() if r.get("working_mib")}
    _print_table(
        f"growth of {given.scan}, forward and backward, (b, d_inner, d_state) = {given.sizes}",
        results,
        memory,
    )
    longest = max(results)
    record = {
        "bench": "growth",
        "scan": given.scan,
        "b": b,
        "d_inner": d,
        "d_state": n,
        "lengths": list(results),
        "ours_ms": [times.get(length) for length in results],
        "ours_quartiles": [quartiles(r["ms"]) if "ms" in r else None for r in results.values()],
        "ours_working_mib": [memory.get(length) for length in results],
        "ours_peak_mib": [r.get("peak_mib") for r in results.values()],
        "reasons": [r.get("reason") for r in results.values()],
        "exponent_all": _exponent(times, 0),
        "exponent": _exponent(times, LARGE),
        "memory_exponent": _exponent(memory, LARGE),
        "memory_to_linear": _to_linear(memory, longest),
    }
    json_line(record | origin(results.values(), held_to), given.out)
    return exit_status(results.values())


def _exponent(values: dict[int, float], least: int) -> float | None:
    """The fitted exponent over lengths from `least`; None for fewer than two lengths."""
    fitted = {length: value for length, value in values.items() if length >= least}
    if len(fitted) < 2:
        return None
    return significant(exponent(list(fitted), list(fitted.values())))


def _to_linear(values: dict[int, float], length: int) -> float | None:
    """The value at `length` relative to linear growth from LARGE."""
    if length not in values or LARGE not in values:
        return None
    return significant(values[length] / (values[LARGE] * length / LARGE))


def _print_table(title: str, results: dict[int, Result], memory: dict[int, float]) -> None:
    rows = [
        (
            f"{length:,}",
            median(r["ms"]),
            *quartiles(r["ms"]),
            len(r["ms"]),
            1e6 * median(r["ms"]) / length,
            memory.get(length),
            _to_linear(memory, length),
            r["peak_mib"],
        )
        for length, r in results.items()
        if "ms" in r
    ]
    spread = ("quartile 1", "quartile 3", "repeats")
    rest = ("ns per step", "MiB per call", f"to linear from {LARGE:,}", "peak MiB")
    reasons = {f"{length:,}": r["reason"] for length, r in results.items() if "reason" in r}
    table(title, ("length", "ms", *spread, *rest), rows, reasons)


if __name__ == "__main__":
    sys.exit(main())
