"""Quality of simple baselines on the same splits and texts as the models'.

    imdb   accuracy, AUC and log loss (nats) on `eval` of linear models of words and word
           pairs, trained on `train`: contestants/reviews_scikit_learn.py
    bible  bits per character of `test` and `eval` by compressors that have read `train`:
           contestants/compressors.py

The records are those of the pipeline's ingest, without repeats, in order and in normal form. A
chapter of the Bible is its lines, each with a line end; bits are per character of this text, as
in `tf-mamba score bible`. A compressor keeps its state from one chapter to the next; a model
starts anew with each.

    python -m benchmarks.baselines [imdb] [bible]
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import numpy as np

from benchmarks.contest import (
    Contestant,
    Result,
    chosen,
    exit_status,
    hold,
    limits,
    measured,
    missing,
    origin,
    parser,
)
from benchmarks.report import json_line, significant, table
from data.facts import without_repeats
from data.records import SPLITS, Record, all_records
from data.tasks import TASKS

SCIKIT_LEARN = "benchmarks.contestants.reviews_scikit_learn"
COMPRESSORS = "benchmarks.contestants.compressors"
CONTESTANTS = {
    "imdb": tuple(
        Contestant(name, SCIKIT_LEARN, peer=True, settings={"model": name})
        for name in ("tfidf_logistic", "nb_logistic")
    ),
    "bible": tuple(
        Contestant(name, COMPRESSORS, peer=True, settings={"model": name})
        for name in ("xz", "ppmd")
    ),
}
Splits = Mapping[str, list[Record]]


def main(arguments: list[str] | None = None) -> int:
    given = parser(__doc__, timed=False, tasks=list(CONTESTANTS)).parse_args(arguments)
    all_of_them = [contestant for task in given.tasks for contestant in CONTESTANTS[task]]
    only = chosen(all_of_them, given.only)
    held_to = limits(given)
    all_results: list[Result] = []
    records = []
    for task in given.tasks:
        contestants = [contestant for contestant in CONTESTANTS[task] if contestant in only]
        if not contestants:
            continue
        splits = read_splits(task)
        inputs = review_inputs(splits) if task == "imdb" else bible_inputs(splits)
        results = {}
        for contestant in contestants:
            held = hold(contestant, ["scores"], inputs, held_to, f"baselines, {task}")
            results[contestant.name] = held["scores"]
        all_results += results.values()
        figures = {
            name: review_figures(result) if task == "imdb" else bible_figures(result, splits)
            for name, result in measured(results).items()
        }
        _print_table(task, splits, figures, missing(results))
        records.append(_record(task, splits, figures, missing(results)))
    for record in records:
        json_line(record | origin(all_results, held_to), given.out)
    return exit_status(all_results)


def read_splits(task: str) -> dict[str, list[Record]]:
    """Returns the packaged corpus of a task, each split sorted by key, as ingest writes it."""
    reader = importlib.import_module(TASKS[task].reader)
    # The pipeline has a limit of length, but no packaged record comes near it.
    records = without_repeats(all_records(reader, reader.open_source()))
    return {split: [r for r in records if r.split == split] for split in SPLITS}


def review_inputs(splits: Splits) -> dict[str, np.ndarray]:
    """Returns the contestants' arrays: SPLIT_text (bytes,) uint8, UTF-8 with a zero byte between
    reviews (the normal form has none), and SPLIT_label (reviews,) int64.
    """
    normal_form = TASKS["imdb"].normal_form
    inputs = {}
    for split in ("train", "eval"):
        texts = [normal_form.apply(str(r.features["text"])) for r in splits[split]]
        inputs[f"{split}_text"] = np.frombuffer("\0".join(texts).encode(), np.uint8)
        inputs[f"{split}_label"] = np.array([r.features["label"] for r in splits[split]])
    return inputs


def bible_inputs(splits: Splits) -> dict[str, np.ndarray]:
    """Returns the contestants' arrays: `bible_text` of each split in UTF-8, (bytes,) uint8."""
    return {
        split: np.frombuffer(bible_text(records).encode(), np.uint8)
        for split, records in splits.items()
    }


def bible_text(records: list[Record]) -> str:
    """Returns the chapters in normal form, with a line end after each line."""
    normal_form = TASKS["bible"].normal_form
    return "".join(normal_form.apply(str(r.features["text"])) + "\n" for r in records)


def review_figures(result: Result) -> dict[str, float]:
    scores = {name: significant(result[name]) for name in ("accuracy", "auc", "log_loss")}
    return scores | {"C": result["C"], "features": result["features"]} | _costs(result)


def bible_figures(result: Result, splits: Splits) -> dict[str, float]:
    bits_per_char = {
        f"{split}_bits_per_char": significant(bits / len(bible_text(splits[split])))
        for split, bits in result["bits"].items()
    }
    return bits_per_char | _costs(result)


def _costs(result: Result) -> dict[str, float]:
    """`seconds` of fitting and scoring, or of compressing; `peak_mib` of the process."""
    return {"seconds": significant(result["seconds"], 3), "peak_mib": round(result["peak_mib"])}


def _print_table(
    task: str, splits: Splits, figures: Mapping[str, Mapping[str, float]], reasons: Mapping
) -> None:
    columns = [key for of_baseline in list(figures.values())[:1] for key in of_baseline]
    rows = [(name, *(f"{row[key]:,}" for key in columns)) for name, row in figures.items()]
    counts = ", ".join(f"{split} {len(kept):,}" for split, kept in splits.items() if kept)
    headings = [column.replace("_", " ") for column in columns]
    table(f"baselines, {task} ({counts})", ["baseline", *headings], rows, reasons)


def _record(
    task: str, splits: Splits, figures: Mapping[str, Mapping[str, float]], reasons: Mapping
) -> dict:
    """The JSON line: records of each split, then NAME_figure, or NAME_reason without figures."""
    record: dict = {"bench": "baselines", "task": task}
    record |= {split: len(kept) for split, kept in splits.items() if kept}
    for name, of_baseline in figures.items():
        record |= {f"{name}_{key}": value for key, value in of_baseline.items()}
    return record | {f"{name}_reason": reason for name, reason in reasons.items()}


if __name__ == "__main__":
    sys.exit(main())
