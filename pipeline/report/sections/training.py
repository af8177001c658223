"""Facts and curves of the training, and of the pretraining if there was one."""

from __future__ import annotations

import csv
import io
from typing import Any

from pipeline.places import TRAINING_FILE
from pipeline.report import figures
from pipeline.report.blocks import Block, Drawing, Sentence, Table
from pipeline.report.inputs import Run
from pipeline.report.numbers import count, figure, mebibytes

_RUNS = {"Trainer": "Training", "Pretrainer": "Pretraining"}


def section(run: Run) -> list[Block]:
    blocks: list[Block] = []
    for stage, name in _RUNS.items():
        artifact = f"{stage}.model_run"
        if run.has(artifact):
            blocks += [_facts(run, artifact, name), *_curves(run, artifact, name)]
    if not blocks:
        blocks = [Sentence("Nothing was trained.")]
    return blocks


def _facts(run: Run, artifact: str, name: str) -> Table:
    facts = run.read_json(artifact, TRAINING_FILE)
    rows = [
        ("parameters", count(facts["parameters"])),
        ("steps", count(facts["steps"])),
        ("tokens", count(facts["tokens"])),
        ("seconds", count(facts["seconds"])),
        ("tokens per second", count(facts["tokens"] / max(1e-9, facts["seconds"]))),
        ("peak memory", mebibytes(facts["peak_memory"])),
        ("scan", facts["scan"]),
        ("last loss, nats", figure(facts["loss"])),
        *(
            (f"{metric} on split eval", figure(value))
            for metric, value in (facts.get("eval") or {}).items()
        ),
    ]
    if facts.get("best_step") not in (None, facts["steps"]):
        rows.append(("step of the best weights", count(facts["best_step"])))
    if facts.get("resumed_at"):
        rows.append(("resumed at steps", ", ".join(map(count, facts["resumed_at"]))))
    return Table(name, ("", "value"), rows)


def _curves(run: Run, artifact: str, name: str) -> list[Block]:
    text = run.file(artifact, "training.csv").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows:
        return [Sentence(f"{name}: too few steps for a curve.")]

    def column(key: str) -> tuple[list[float], list[float]]:
        points = [(float(r["step"]), float(r[key])) for r in rows if r.get(key)]
        return [step for step, _ in points], [value for _, value in points]

    plots = (
        ("loss", "loss, nats", {"train": "loss", "eval": "eval_loss"}),
        ("accuracy", "accuracy", {"train": "accuracy", "eval": "eval_accuracy"}),
        ("learning-rate", "learning rate", {"learning rate": "learning_rate"}),
        ("gradient-norm", "gradient norm", {"norm": "gradient_norm"}),
        ("speed", "tokens per second", {"speed": "tokens_per_second"}),
    )
    blocks: list[Block] = []
    for key, up, columns in plots:
        series = {curve: column(field) for curve, field in columns.items()}
        if any(steps for steps, _ in series.values()):
            svg = _plot(f"{name.lower()}-{key}", f"{name}: {up}", series, up)
            blocks.append(Drawing(svg, f"{name}: {up} by step"))
    return blocks


def _plot(
    name: str, title: str, series: dict[str, tuple[list[float], list[float]]], up: str
) -> Any:
    courses = [
        f"{curve} goes from {values[0]:.4g} at step {steps[0]:,.0f} to {values[-1]:.4g} at step"
        f" {steps[-1]:,.0f}"
        for curve, (steps, values) in series.items()
        if steps
    ]
    return figures.draw(
        name,
        title,
        "; ".join(courses) + ".",
        lambda axes: figures.lines(axes, series, "step", up),
    )
