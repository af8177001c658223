"""Quality of simple baselines on the same splits and texts as the models', for any task.

    classification  accuracy, macro F1, AUC and log loss (nats) on `eval` of linear models of words
                    and word pairs, trained on `train`: contestants/classification_scikit_learn.py
    next-token      bits per character of `eval` and `test` by compressors that have read `train`:
                    contestants/compressors.py

The records are those of the pipeline's ingest, without repeats, in order and in normal form. A
document counts with one line end after it; bits are per character of this text, as in `tf-mamba
score`. A compressor keeps its state from one document to the next; a model starts anew with each.

With `--root` the records are those of each task's last run below that folder, and the run's own
figures stand beside the baselines'.

    python -m benchmarks.baselines [TASK ...] [--tasks FOLDER] [--source PATH | --root FOLDER]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contest import (
    Contestant,
    Limits,
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
from benchmarks.corpora import read_splits
from benchmarks.report import json_line, significant, table
from data import readers, task_files
from data.errors import UserError
from data.features import LABEL, TEXT
from data.records import Record
from data.tasks import Task
from pipeline import presets
from pipeline.config import RunConfig
from pipeline.settings import config_from_dict

SCIKIT_LEARN = "benchmarks.contestants.classification_scikit_learn"
COMPRESSORS = "benchmarks.contestants.compressors"
CONTESTANTS = {
    "classification": tuple(
        Contestant(name, SCIKIT_LEARN, peer=True, settings={"model": name})
        for name in ("tfidf_logistic", "nb_logistic")
    ),
    "next-token": tuple(
        Contestant(name, COMPRESSORS, peer=True, settings={"model": name})
        for name in ("xz", "ppmd")
    ),
}
SCORES = ("accuracy", "macro_f1", "auc", "log_loss")  # of a classification
OF_THE_RUN = "tf_mamba"  # the row of a run
Splits = Mapping[str, list[Record]]
Figures = Mapping[str, float]


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__, timed=False)
    options.add_argument(
        "task", nargs="*", metavar="TASK", default=list(task_files.built_in_tasks()),
        help="names of tasks (default: the built-in ones)",
    )  # fmt: skip
    options.add_argument("--tasks", type=Path, metavar="FOLDER", help="of your own tasks")
    options.add_argument("--source", help="a file or folder instead of the task's own corpus")
    options.add_argument("--root", type=Path, metavar="FOLDER", help="of runs/")
    given = options.parse_args(arguments)
    if given.source and (given.root or len(given.task) > 1):
        options.error("--source: expected one task, and no --root, as a run has its own source")
    held_to = limits(given)
    all_results: list[Result] = []
    records = []
    try:
        corpora = [
            of_last_run(given.root, name) if given.root else of_task(name, given.tasks)
            for name in given.task
        ]
        kinds = {config.task.kind for config, *_ in corpora}
        all_of_them = [c for kind in sorted(kinds) for c in CONTESTANTS[kind]]
        only = chosen(all_of_them, given.only)
        for config, source, summary in corpora:
            task = config.task
            contestants = [c for c in CONTESTANTS[task.kind] if c in only]
            if not contestants:
                continue
            splits = read_splits(config, given.source or source)
            figures = run_figures(config, summary, splits) if summary else {}
            results = _hold(task, contestants, splits, held_to)
            all_results += results.values()
            for name, result in measured(results).items():
                figures[name] = contestant_figures(task, result, splits)
            _print_table(task, splits, figures, missing(results))
            records.append(_record(task, splits, figures, missing(results)))
    except UserError as error:
        sys.exit(f"benchmarks.baselines: {error}")
    for record in records:
        json_line(record | origin(all_results, held_to), given.out)
    return exit_status(all_results)


def of_task(name: str, tasks: Path | None = None) -> tuple[RunConfig, str | None, None]:
    """A task's configuration at preset quick, and its source; see `task_files.find`."""
    file = task_files.find(name, tasks)
    return presets.of_file(file, "quick"), file.source, None


def of_last_run(root: Path, name: str) -> tuple[RunConfig, str | None, dict[str, Any]]:
    """The configuration, the source and the summary of a task's last run.

    Raises:
        UserError: if the task has no run below `root`, the run has no metrics, or its corpus has
            changed since.
    """
    path = root / "runs" / name / "latest" / "summary.json"
    if not path.is_file():
        raise UserError(f"{path}: there is no run; `tf-mamba run {name} --root {root}` makes one")
    summary = json.loads(path.read_text("utf-8"))
    if not summary["metrics"]:
        raise UserError(f"{path}: the run ended before its model was evaluated: {summary['error']}")
    config, source = config_from_dict(summary["config"], where=str(path)), summary["source"]
    opened = readers.load(config.reading.reader).open_source(source, config.reading)
    if opened.sha256 != summary["data_sha256"]:
        raise UserError(f"{opened.path}: the corpus has changed since the run {path.parent}")
    return config, source, summary


def inputs(task: Task, splits: Splits) -> dict[str, np.ndarray]:
    """Returns the contestants' arrays, from texts in normal form and UTF-8.

    Of a classification SPLIT_text, all texts on end: (bytes,) uint8; SPLIT_bytes, the length of
    each: (texts,) int64; SPLIT_label: (texts,) int64. Of another task `joined_text` of each split
    that has records: (bytes,) uint8.
    """
    if task.kind == "next-token":
        return {
            split: np.frombuffer(joined_text(task, records).encode(), np.uint8)
            for split, records in splits.items()
            if records
        }
    arrays = {}
    for split in ("train", "eval"):
        texts = [task.normal_form.apply(str(r.features[TEXT])).encode() for r in splits[split]]
        arrays[f"{split}_text"] = np.frombuffer(b"".join(texts), np.uint8)
        arrays[f"{split}_bytes"] = np.array([len(text) for text in texts])
        arrays[f"{split}_label"] = np.array([r.features[LABEL] for r in splits[split]])
    return arrays


def joined_text(task: Task, records: list[Record]) -> str:
    """Returns the documents in normal form, with a line end after each."""
    return "".join(task.normal_form.apply(str(r.features[TEXT])) + "\n" for r in records)


def run_figures(config: RunConfig, summary: dict[str, Any], splits: Splits) -> dict[str, Figures]:
    """The figures of a run's model, under the name of its row; `seconds` are its training's.

    Raises:
        UserError: if the records are not the run's, as its reader has changed since.
    """
    read = {split: len(records) for split, records in splits.items()}
    written = {split: summary["records"]["out"].get(split, 0) for split in read}
    if read != written:
        raise UserError(
            f"{config.task.name}: expected the records of the run, {written}, got {read}:"
            " its reader has changed since; run the pipeline again"
        )
    metrics = summary["metrics"]["eval"]
    if config.task.kind == "classification":
        figures = {name: significant(metrics[name]) for name in SCORES if name in metrics}
    else:
        figures = {"eval_bits_per_char": significant(metrics["bits_per_char"])}
    if seconds := summary["seconds"].get("Trainer"):
        figures["seconds"] = significant(seconds, 3)
    return {f"{OF_THE_RUN}_{summary['preset']}": figures}


def contestant_figures(task: Task, result: Result, splits: Splits) -> dict[str, float]:
    """The scores of a baseline, and its costs: `seconds` of fitting and scoring, or of
    compressing; `peak_mib` of the process.
    """
    if task.kind == "classification":
        scores = {name: significant(result[name]) for name in SCORES}
        scores |= {"C": result["C"], "features": result["features"]}
    else:
        scores = {
            f"{split}_bits_per_char": significant(bits / len(joined_text(task, splits[split])))
            for split, bits in result["bits"].items()
        }
    return scores | {
        "seconds": significant(result["seconds"], 3),
        "peak_mib": round(result["peak_mib"]),
    }


def _hold(
    task: Task, contestants: list[Contestant], splits: Splits, held_to: Limits
) -> dict[str, Result]:
    arrays, about = inputs(task, splits), f"baselines, {task.name}"
    held = {
        each.name: hold(each, ["scores"], arrays, held_to, about, classes=len(task.classes))
        for each in contestants
    }
    return {name: parts["scores"] for name, parts in held.items()}


def _print_table(
    task: Task, splits: Splits, figures: Mapping[str, Figures], reasons: Mapping[str, str]
) -> None:
    # A run, which has fewer figures, is first among the rows.
    of_rows = list(figures.values())[::-1]
    columns = list(dict.fromkeys(key for row in of_rows for key in row))
    rows = [
        (name, *(f"{row[key]:,}" if key in row else None for key in columns))
        for name, row in figures.items()
    ]
    counts = ", ".join(f"{split} {len(kept):,}" for split, kept in splits.items() if kept)
    headings = [column.replace("_", " ") for column in columns]
    table(f"baselines, {task.name} ({counts})", ["baseline", *headings], rows, reasons)


def _record(
    task: Task, splits: Splits, figures: Mapping[str, Figures], reasons: Mapping[str, str]
) -> dict[str, Any]:
    """The JSON line: records of each split, then NAME_figure, or NAME_reason without figures."""
    record: dict[str, Any] = {"bench": "baselines", "task": task.name}
    record |= {split: len(kept) for split, kept in splits.items() if kept}
    for name, of_baseline in figures.items():
        record |= {f"{name}_{key}": value for key, value in of_baseline.items()}
    return record | {f"{name}_reason": reason for name, reason in reasons.items()}


if __name__ == "__main__":
    sys.exit(main())
