"""Generation: time per token after contexts of several lengths, greedy, float32.

    ours          generate under XLA
    ours_plain    the same graph without XLA, as in serving
    transformers  MambaForCausalLM in PyTorch with its cache

The models have the same sizes and random weights; the prompts are real text. The time to the
first token is reported apart from the time per token after it.
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
from benchmarks.report import json_line, median, quartiles, significant, table

CONTESTANTS = (
    Contestant("ours", "benchmarks.contestants.generation_tensorflow", settings={"xla": True}),
    Contestant(
        "ours_plain", "benchmarks.contestants.generation_tensorflow", settings={"xla": False}
    ),
    Contestant("transformers", "benchmarks.contestants.generation_torch", peer=True),
)


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--batch", nargs="+", type=int, default=[1, 16])
    options.add_argument("--context", nargs="+", type=int, default=[128, 1024, 8192])
    options.add_argument(
        "--new-tokens", type=int, default=64, help="ours generates more after a long prompt (64)"
    )
    options.add_argument("--d-model", type=int, default=256)
    options.add_argument("--n-layer", type=int, default=4)
    options.add_argument("--vocabulary-size", type=int, default=4000)
    given = options.parse_args(arguments)
    sizes = ("new_tokens", "d_model", "n_layer", "vocabulary_size")
    held_to = limits(given)
    all_results: list[Result] = []
    records = []
    for batch in given.batch:
        shortest: dict[str, float] = {}  # milliseconds per token after the first context
        for context in given.context:
            prompts = text.tokens(batch * context, given.vocabulary_size).reshape(batch, context)
            results = {}
            for contestant in chosen(CONTESTANTS, given.only):
                results[contestant.name] = hold(
                    contestant,
                    ["generation"],
                    {"prompts": prompts},
                    held_to,
                    f"generation, batch {batch}, context {context}",
                    **{name: getattr(given, name) for name in sizes},
                )["generation"]
            all_results += results.values()
            for name, result in measured(results).items():
                shortest.setdefault(name, median(result["ms"]))
            _print_table(batch, context, results, shortest)
            records.append(_record(batch, context, results, shortest))
    for record in records:
        shared = {name: getattr(given, name) for name in sizes[1:]}
        json_line(record | shared | origin(all_results, held_to), given.out)
    return exit_status(all_results)


def _print_table(
    batch: int, context: int, results: dict[str, Result], shortest: dict[str, float]
) -> None:
    rows = [
        (
            name,
            1e3 * batch / median(result["ms"]),
            median(result["ms"]),
            *quartiles(result["ms"]),
            len(result["ms"]),
            median(result["ms"]) / shortest[name],
            median(result["prefill_ms"]),
            result["working_mib"],
            result["peak_mib"],
        )
        for name, result in measured(results).items()
    ]
    spread = ("quartile 1", "quartile 3", "repeats", "to shortest")
    rest = ("ms to first token", "MiB per call", "peak MiB")
    columns = ("contestant", "tokens/s", "ms per token", *spread, *rest)
    table(f"generation, batch {batch}, context {context}", columns, rows, missing(results))


def _record(
    batch: int, context: int, results: dict[str, Result], shortest: dict[str, float]
) -> dict:
    """The JSON line. `NAME_to_shortest`: time per token relative to the first context."""
    record: dict = {"bench": "generation", "batch": batch, "context": context}
    for name, result in results.items():
        record |= figures(name, result, "ms_per_token")
        if "reason" not in result:
            ms = median(result["ms"])
            record[f"{name}_tokens_per_s"] = significant(1e3 * batch / ms)
            record[f"{name}_prefill_ms"] = median(result["prefill_ms"])
            record[f"{name}_to_shortest"] = significant(ms / shortest[name])
            record[f"{name}_new_tokens"] = result["new_tokens"]
    return record


if __name__ == "__main__":
    sys.exit(main())
