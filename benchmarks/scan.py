"""The selective scan, forward and forward with backward: ours and the peers'.

    ours                selective_scan under XLA, the batch in parallel shards, as in training
    ours_unsharded      the same on the whole batch at once: XLA runs a loop on one core
    ours_native         selective_scan's C++ option, in the same shards
    c_loop              a plain C++ program on all cores: the machine's limit
    autodiff_loop       a loop over time under XLA, in the same shards, with gradients by autodiff
    cumsum              the closed form with two cumulative sums and a division, without XLA,
                        which takes 50 times as long; its results are wrong on long inputs
    mambapy             mambapy's parallel scan, in PyTorch
    mambapy_sequential  its sequential mode

Times are medians in milliseconds. The error is the largest difference from float64, relative to
the largest value: of y, and with backward the maximum over y and all gradients.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from benchmarks.contest import (
    Contestant,
    Limits,
    Result,
    chosen,
    exit_status,
    figures,
    hold,
    limits,
    measured,
    missing,
    origin,
    parser,
)
from benchmarks.report import json_line, median, quartiles, relative_error, significant, table
from benchmarks.scan_reference import Arrays, inputs, scan_and_gradients

SHAPES = [(8, 512, 256, 16), (2, 4096, 256, 16), (1, 65536, 64, 16)]  # (b, l, d_inner, d_state)
PASSES = ("fwd", "fwd_bwd")
_OURS = "benchmarks.contestants.scan_tensorflow"
_MAMBAPY = "benchmarks.contestants.scan_torch"
CONTESTANTS = (
    Contestant("ours", _OURS, settings={"scan": "ours"}),
    Contestant("ours_unsharded", _OURS, settings={"scan": "ours", "shards": 1}),
    Contestant("ours_native", _OURS, settings={"scan": "ours_native"}),
    Contestant("c_loop", "benchmarks.contestants.scan_c"),
    Contestant("autodiff_loop", _OURS, settings={"scan": "autodiff_loop"}),
    Contestant("cumsum", _OURS, settings={"scan": "cumsum"}),
    Contestant("mambapy", _MAMBAPY, peer=True, settings={"scan": "pscan"}),
    Contestant("mambapy_sequential", _MAMBAPY, peer=True, settings={"scan": "sequential"}),
)


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    contestants = chosen(CONTESTANTS, options.only)
    held_to = limits(options)
    all_results: list[Result] = []
    records = []
    for shape in options.shape:
        arrays = inputs(*shape)
        exact = scan_and_gradients(arrays)
        results = {}
        for contestant in contestants:
            settings = {"shards": options.shards} | dict(contestant.settings)
            results[contestant.name] = hold(
                contestant, options.passes, arrays, held_to, f"scan {shape}", **settings
            )
            for result in results[contestant.name].values():
                result["rel_error"] = _error(result, exact)
        for part in options.passes:
            of_part = {name: by_part[part] for name, by_part in results.items()}
            all_results += of_part.values()
            _print_table(shape, part, of_part)
            records.append(_record(shape, part, of_part, held_to))
    for record in records:
        json_line(record, options.out)
    return exit_status(all_results)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument(
        "--shape",
        nargs="+",
        type=lambda text: tuple(map(int, text.split(","))),
        default=SHAPES,
        help="b,l,d_inner,d_state, one or more",
    )
    options.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES)
    options.add_argument(
        "--shards", type=int, help="parts of the batch, for all under XLA (as in training)"
    )
    return options.parse_args(arguments)


def _error(result: Result, exact: Arrays) -> float | None:
    """Removes the arrays from `result`; returns their largest error, None without arrays."""
    arrays = result.pop("arrays", None)
    if arrays is None:
        return None
    return max(relative_error(array, exact[name]) for name, array in arrays.items())


def _print_table(shape: tuple[int, ...], part: str, results: dict[str, Result]) -> None:
    of_ours, of_c = (results.get(name, Result()).get("ms") for name in ("ours", "c_loop"))
    rows = [
        (
            name,
            median(result["ms"]),
            *quartiles(result["ms"]),
            len(result["ms"]),
            median(result["ms"]) / median(of_ours) if of_ours else None,
            median(result["ms"]) / median(of_c) if of_c else None,
            result["working_mib"],
            result["peak_mib"],
            result["rel_error"],
        )
        for name, result in measured(results).items()
    ]
    spread = ("quartile 1", "quartile 3", "repeats")
    memory = ("MiB per call", "peak MiB")
    columns = ("contestant", "ms", *spread, "to ours", "to C", *memory, "error")
    table(f"scan {shape} {part}", columns, rows, missing(results))


def _record(shape: tuple[int, ...], part: str, results: dict[str, Result], held_to: Limits) -> dict:
    """The JSON line; missing figures are null."""
    record: dict[str, Any] = {"bench": "scan", "shape": list(shape), "pass": part}
    record |= {f"{name}_ms": None for name in ("ours", "c_loop", "mambapy", "cumsum")}
    record |= {"cumsum_rel_error": None, "rel_error": None}
    for name, result in results.items():
        error = result["rel_error"]
        key = "rel_error" if name == "ours" else f"{name}_rel_error"
        record |= figures(name, result)
        record[key] = None if error is None else significant(error)
    return record | origin(results.values(), held_to)


if __name__ == "__main__":
    sys.exit(main())
