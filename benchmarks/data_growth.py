"""How the data stages' time and memory grow with the corpus: 25,000 reviews, 10 and 40 times.

The first copy is the reviews themselves. In each other copy a fifth of each review's words is
replaced by words of another review, drawn with a seed. So all texts are distinct and none is
dropped as a repeat, but the words and their frequencies are those of the corpus. There are fewer
distinct words than in as many real reviews.

Each stage runs in a separate process, on the outputs of the stages before it. So peak memory and
CPU seconds are those of one stage, with imports and the writing of a summary. Other work on the
machine changes a stage's seconds, but hardly its CPU seconds. The exponent p is that of the fit
c n**p to the last two sizes, where fixed costs matter least. Training has a fixed number of
steps, so it does not grow with the corpus.

    python -m benchmarks.data_growth [--copies 1 10 40] [--beam-workers N] [--folder FOLDER]
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks import corpora, pipeline_process
from benchmarks.pipeline_process import FinishedRun, RunFailedError
from benchmarks.report import commit, exponent, hardware, json_line, parser, significant, table

STAGES = ("TextExampleGen", "StatisticsGen", "ExampleValidator", "DataGate", "Transform")
COPIES = (1, 10)
REPLACED = 0.2  # share of the words


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--copies", nargs="+", type=int, default=COPIES, help="sizes (1 10)")
    options.add_argument("--reviews", type=int, default=25_000, help="per copy (25,000: all)")
    options.add_argument("--preset", default="quick", help="of the run (quick)")
    options.add_argument("--beam-workers", type=int, default=1, help="threads of Beam (1)")
    options.add_argument("--beam-arg", action="append", default=[], help="as for tf-mamba run")
    options.add_argument("--memory", type=float, help="GiB; a stage with more is killed")
    options.add_argument("--folder", type=Path, help="for corpus and runs (temporary)")
    given = options.parse_args(arguments)
    taken: dict[str, dict[int, FinishedRun]] = {stage: {} for stage in STAGES}
    examples: dict[int, int] = {}
    reasons: dict[str, str] = {}
    for copies in sorted(given.copies):
        with tempfile.TemporaryDirectory(prefix="tf-mamba-growth-", dir=given.folder) as name:
            corpus = Path(name, "reviews.csv")
            reviews = write_reviews(corpus, copies, given.reviews)
            try:
                for stage in STAGES:
                    print(f"{reviews:,} reviews, {stage} ...", end=" ", file=sys.stderr, flush=True)
                    done = pipeline_process.run(
                        "imdb", "--preset", given.preset, "--source", str(corpus),
                        "--root", name, "--to", stage,
                        "--beam-workers", str(given.beam_workers),
                        *(f"--beam-arg={argument}" for argument in given.beam_arg),
                        memory_gib=given.memory,
                    )  # fmt: skip
                    taken[stage][reviews] = done
                    print(
                        f"{done.summary['seconds'][stage]:.1f} s, process {done.cpu_seconds:.1f}"
                        f" CPU s, {done.peak_mib:,.0f} MiB",
                        file=sys.stderr,
                    )
                    examples[reviews] = sum(done.summary["records"]["out"].values())
            except RunFailedError as error:
                reasons[f"{reviews:,} reviews, {stage}"] = str(error)
    _print_table(taken, reasons, given.beam_workers)
    record = {
        "bench": "data_growth",
        "preset": given.preset,
        "beam_workers": given.beam_workers,
        "beam_args": given.beam_arg,
        "reviews": list(examples),
        "examples": list(examples.values()),
        "reasons": reasons,
    }
    for stage, by_size in taken.items():
        for name, values in _columns(stage, by_size).items():
            record[f"{stage}_{name}"] = [significant(value) for value in values.values()]
            record[f"{stage}_{name}_exponent"] = slope(values)
    json_line(record | {"hardware": hardware(), "commit": commit()}, given.out)
    return int(bool(reasons))


def write_reviews(path: Path, copies: int, most: int = 25_000, seed: int = 1) -> int:
    """Writes the packaged reviews, and copies of them with other words, as CSV text,label.

    Args:
        copies: number of copies, with the reviews themselves.
        most: number of reviews to copy, spread over the corpus.
        seed: of the drawn words.

    Returns:
        The number of rows.
    """
    reviews = list(_reviews(most))
    words = [text.split(" ") for text, _ in reviews]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        writer.writerows(reviews)
        for copy in range(1, copies):
            draws = np.random.default_rng((seed, copy))
            for own, (_, label), other in zip(
                words, reviews, draws.permutation(len(words)), strict=True
            ):
                writer.writerow((" ".join(_with_words_of(words[other], own, draws)), label))
    return copies * len(reviews)


def _reviews(most: int) -> Iterator[tuple[str, int]]:
    records = list(corpora.records(corpora.packaged("imdb")))
    for i in np.linspace(0, len(records) - 1, min(most, len(records))).round().astype(int):
        yield str(records[i].features["text"]), int(records[i].features["label"])


def _with_words_of(other: list[str], own: list[str], draws: np.random.Generator) -> list[str]:
    """Returns `own` with a share of its words, at random places, replaced by words of `other`."""
    changed = list(own)
    number = max(1, round(REPLACED * len(own)))
    places = draws.integers(len(own), size=number).tolist()
    words = draws.integers(len(other), size=number).tolist()
    for place, word in zip(places, words, strict=True):
        changed[place] = other[word]
    return changed


def slope(by_size: Mapping[int, float]) -> float | None:
    """Returns the exponent of growth between the last two sizes."""
    sizes = list(by_size)[-2:]
    if len(sizes) < 2:
        return None
    return significant(exponent(sizes, [by_size[size] for size in sizes]), 3)


def _columns(stage: str, by_size: Mapping[int, FinishedRun]) -> dict[str, dict[int, float]]:
    return {
        "seconds": {size: run.summary["seconds"][stage] for size, run in by_size.items()},
        "cpu_seconds": {size: run.cpu_seconds for size, run in by_size.items()},
        "peak_mib": {size: run.peak_mib for size, run in by_size.items()},
    }


def _print_table(
    taken: Mapping[str, Mapping[int, FinishedRun]], reasons: Mapping[str, str], workers: int
) -> None:
    rows: list[tuple] = []
    for stage, by_size in taken.items():
        columns = _columns(stage, by_size)
        for size in by_size:
            last = size == max(by_size)
            exponents = (slope(values) if last else None for values in columns.values())
            rows.append((stage, f"{size:,}", *(v[size] for v in columns.values()), *exponents))
    names = ("seconds", "CPU s", "peak MiB")
    exponents_of = (f"exponent of {name}" for name in names)
    title = f"growth of the data stages, {workers} Beam worker(s)"
    table(title, ("stage", "reviews", *names, *exponents_of), rows, reasons)


if __name__ == "__main__":
    sys.exit(main())
