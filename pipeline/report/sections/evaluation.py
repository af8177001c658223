"""The evaluation: metrics, slices, the last pushed model, and the model's own answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report import evaluation, figures
from pipeline.report.blocks import Block, Drawing, Fold, Sentence, Table
from pipeline.report.evaluation import Evaluation
from pipeline.report.inputs import Run
from pipeline.report.missing import not_measured
from pipeline.report.numbers import count, figure, interval


def section(run: Run) -> list[Block]:
    blocks: list[Block]
    if run.has(evaluation.EVALUATION):
        evaluated = evaluation.read(run)
        blocks = [_overall(evaluated), *_slices(evaluated)]
        if not evaluated.last:
            blocks.append(Sentence("There was no earlier pushed model to compare with."))
        if evaluated.reliability:
            blocks.append(_reliability(evaluated))
    else:
        blocks = [Sentence("The model was not evaluated.")]
    found = run.measurements.get("model")
    if found is None or "error" in found:
        blocks.append(not_measured("The model's own answers", found))
    elif run.task.head == "sentiment":
        blocks.append(_confusion(found))
    else:
        blocks += _books(found)
    return blocks


def _overall(evaluated: Evaluation) -> Table:
    head = ["metric", "value", "95% interval"]
    if evaluated.last:
        head += ["last pushed model", "change"]
    rows = []
    for name, value in evaluated.values.items():
        row = [name, figure(value), interval(evaluated.intervals.get(name))]
        if evaluated.last:
            last = evaluated.last.get(name)
            row += ["", ""] if last is None else [figure(last), f"{value - last:+.4f}"]
        rows.append(row)
    return Table("Metrics on split eval", head, rows)


def _slices(evaluated: Evaluation) -> list[Block]:
    if not evaluated.slices:
        return []
    names = list(evaluated.values)
    rows, bounds = [], []
    for where, values in evaluated.slices.items():
        intervals = evaluated.slice_intervals.get(where, {})
        rows.append([where, *(figure(values[name]) if name in values else "" for name in names)])
        bounds.append([where, *(interval(intervals.get(name)) for name in names)])
    head = ["slice", *names]
    return [
        Table("Metrics on slices of split eval", head, rows),
        Fold(
            "Intervals of the slices",
            [Table("95% intervals on slices; a slice with too few texts has none", head, bounds)],
        ),
    ]


def _confusion(found: Mapping[str, Any]) -> Table:
    (nn, np), (pn, pp) = found["confusion"]
    rows = [
        ("negative", count(nn), count(np), f"{nn / max(1, nn + np):.3f}"),
        ("positive", count(pn), count(pp), f"{pp / max(1, pn + pp):.3f}"),
    ]
    return Table(
        f"Confusion matrix of {count(found['count'])} texts of split eval",
        ("label", "predicted negative", "predicted positive", "correct"),
        rows,
    )


def _reliability(evaluated: Evaluation) -> Drawing:
    bins = evaluated.reliability

    def paint(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=figures.MUTED, lw=1, ls=":", label="perfect")
        x = [each["probability"] for each in bins]
        y = [each["positive"] for each in bins]
        axes.plot(x, y, color=figures.SERIES[0], lw=1.6, marker="o", ms=4, label="this model")
        for each, across, up in zip(bins, x, y, strict=True):
            number = f"{each['count']:,.0f}"
            axes.annotate(number, (across, up), (5, -9), textcoords="offset points", fontsize=8)
        figures.label(axes, "probability of positive", "share that is positive")
        axes.legend()

    points = "; ".join(f"{b['probability']:.2f}: {b['positive']:.2f}" for b in bins)
    svg = figures.draw(
        "reliability",
        "Reliability of the probabilities",
        f"Mean probability and share of positive texts in each tenth: {points}.",
        paint,
        height=3.4,
    )
    return Drawing(svg, "Reliability, with the number of texts in each tenth of probability")


def _books(found: Mapping[str, Any]) -> list[Block]:
    blocks: list[Block] = []
    values = {name: bits / chars for name, bits, chars, _ in found["books"] if chars}
    if values:
        by_value = dict(sorted(values.items(), key=lambda item: (-item[1], item[0])))
        svg = figures.draw(
            "books",
            "Bits per character of each book",
            ", ".join(f"{name} {value:.3f}" for name, value in by_value.items()),
            lambda axes: figures.bars(axes, by_value, "bits per character", "{:.2f}"),
            height=0.8 + 0.21 * len(values),
        )
        blocks.append(Drawing(svg, "Bits per character of each book's texts in split eval"))
    rows = [(name, f"{value:.3f}") for name, value in found["texts"]]
    caption = "The hardest and the easiest texts of split eval"
    return [*blocks, Table(caption, ("text", "bits per character"), rows)]
