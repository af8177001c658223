"""A training step of a next-token model: forward, backward, clipping, AdamW; float32.

    ours          NextTokenModel, compiled by XLA, as the pipeline trains it
    ours_native   the same with its scan in C++
    mambapy       mambapy's Mamba in PyTorch, with its parallel scan, between embedding and output
    transformers  MambaForCausalLM in PyTorch, on its path without a GPU; as it is slow, its
                  batch has one row
    lstm          Keras's LSTM of the same width and depth, the usual alternative
    lstm_xla      the same under XLA

Speed is in tokens per second, from the median time of a step. All embeddings are tied to the
output. Each step has the same batch of real text.
"""

from __future__ import annotations

import sys

from benchmarks import text
from benchmarks.contest import (
    Contestant,
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
from benchmarks.report import json_line, median, quartiles, table

_TENSORFLOW = "benchmarks.contestants.training_tensorflow"
_TORCH = "benchmarks.contestants.training_torch"
CONTESTANTS = (
    Contestant("ours", _TENSORFLOW, settings={"model": "ours", "scan": "xla"}),
    Contestant("ours_native", _TENSORFLOW, settings={"model": "ours", "scan": "native"}),
    Contestant("lstm", _TENSORFLOW, settings={"model": "lstm", "xla": False}),
    Contestant("lstm_xla", _TENSORFLOW, settings={"model": "lstm", "xla": True}),
    Contestant("mambapy", _TORCH, peer=True, settings={"model": "mambapy"}),
    Contestant("transformers", _TORCH, peer=True, settings={"model": "transformers", "rows": 1}),
)


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--length", type=int, default=512)
    options.add_argument("--d-model", type=int, default=256)
    options.add_argument("--n-layer", type=int, default=4)
    options.add_argument("--vocabulary-size", type=int, default=4000)
    options.add_argument("--shards", type=int, help="of ours (as in the pipeline)")
    given = options.parse_args(arguments)
    b, l = given.batch, given.length  # noqa: E741
    tokens = text.tokens(b * (l + 1), given.vocabulary_size).reshape(b, l + 1)
    held_to = limits(given)
    results = {}
    for contestant in chosen(CONTESTANTS, given.only):
        results[contestant.name] = hold(
            contestant,
            ["step"],
            {"tokens": tokens},
            held_to,
            f"training ({b}, {l})",
            d_model=given.d_model,
            n_layer=given.n_layer,
            vocabulary_size=given.vocabulary_size,
            shards=given.shards,
            rows=b,
        )["step"]
    _print_table(results)
    record = {
        "bench": "training",
        "shape": [b, l],
        "d_model": given.d_model,
        "n_layer": given.n_layer,
        "vocabulary_size": given.vocabulary_size,
    }
    for name, result in results.items():
        record |= figures(name, result, "tokens_per_s")
        if "shape" in result:
            record[f"{name}_shape"] = result["shape"]
    json_line(record | origin(results.values(), held_to), given.out)
    return exit_status(results.values())


def _print_table(results: dict[str, Result]) -> None:
    speeds = {name: _tokens_per_s(result) for name, result in measured(results).items()}
    rows = [
        (
            name,
            speeds[name],
            speeds["ours"] / speeds[name] if "ours" in speeds else None,
            median(result["ms"]),
            *quartiles(result["ms"]),
            len(result["ms"]),
            "{} x {}".format(*result["shape"]),
            result["parameters"] / 1e6,
            result["working_mib"],
            result["peak_mib"],
        )
        for name, result in measured(results).items()
    ]
    spread = ("quartile 1", "quartile 3", "repeats")
    sizes = ("batch", "M parameters", "MiB per step", "peak MiB")
    columns = ("contestant", "tokens/s", "ours to it", "ms a step", *spread, *sizes)
    table("training step", columns, rows, missing(results))


def _tokens_per_s(result: Result) -> float:
    return 1e3 * result["tokens"] / median(result["ms"])


if __name__ == "__main__":
    sys.exit(main())
