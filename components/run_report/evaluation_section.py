"""The evaluation: metrics, slices, the last blessed model; and what the model itself shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.run_report import evaluation, figures
from components.run_report.blocks import Block, Drawing, Section, Sentence, Table
from components.run_report.data_section import not_measured
from components.run_report.evaluation import ALL, Metric, Metrics
from components.run_report.numbers import count, figure
from components.run_report.run import Run


def section(run: Run) -> Section:
    blocks: list[Block]
    if run.has(evaluation.EVALUATION):
        metrics = evaluation.read_metrics(run)
        blocks = [_overall(metrics[ALL]), *_slices(metrics)]
        if all(metric.last is None for metric in metrics[ALL].values()):
            blocks.append(Sentence("There was no blessed model before to compare with."))
    else:
        blocks = [Sentence("The model was not evaluated.")]
    found = run.measurements.get("model")
    if found is None or "error" in found:
        blocks.append(not_measured("The model's own answers", found))
    elif run.task.head == "sentiment":
        blocks += [_confusion(found), _reliability(found)]
    else:
        blocks += _books(found)
    return Section("evaluation", "Evaluation", blocks)


def _overall(metrics: Mapping[str, Metric]) -> Table:
    head = ["metric", "value"]
    intervals = any(metric.interval for metric in metrics.values())
    lasts = any(metric.last is not None for metric in metrics.values())
    head += ["interval"] * intervals + ["last blessed model", "change"] * lasts
    rows = []
    for name, metric in metrics.items():
        row = [name, figure(metric.value)]
        if intervals:
            row.append(" to ".join(map(figure, metric.interval)) if metric.interval else "")
        if lasts:
            known = metric.last is not None
            row.append(figure(metric.last) if metric.last is not None else "")
            row.append(f"{metric.value - (metric.last or 0):+.4f}" if known else "")
        rows.append(row)
    return Table("Metrics on split eval", head, rows)


def _slices(metrics: Metrics) -> list[Block]:
    slices = [where for where in metrics if where != ALL]
    if not slices:
        return []
    names = list(metrics[slices[0]])
    rows = [
        [where, *(figure(metrics[where][n].value) if n in metrics[where] else "" for n in names)]
        for where in slices
    ]
    return [Table("Metrics on slices of split eval", ["slice", *names], rows)]


def _confusion(found: Mapping[str, Any]) -> Table:
    (nn, np), (pn, pp) = found["confusion"]
    rows = [
        ("negative", count(nn), count(np), f"{nn / max(1, nn + np):.3f}"),
        ("positive", count(pn), count(pp), f"{pp / max(1, pn + pp):.3f}"),
    ]
    return Table(
        f"Confusion matrix of {count(found['count'])} texts of split eval",
        ("label", "called negative", "called positive", "right"),
        rows,
    )


def _reliability(found: Mapping[str, Any]) -> Drawing:
    bins = found["reliability"]
    n = sum(each["count"] for each in bins)
    # Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, equation 5,
    # with the probability of "positive" in the place of the confidence.
    error = sum(each["count"] * abs(each["positive"] - each["probability"]) for each in bins) / n

    def paint(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=figures.MUTED, lw=1, ls=":", label="perfect")
        x = [each["probability"] for each in bins]
        y = [each["positive"] for each in bins]
        axes.plot(x, y, color=figures.SERIES[0], lw=1.6, marker="o", ms=4, label="this model")
        for each, across, up in zip(bins, x, y, strict=True):
            axes.annotate(
                f"{each['count']:,}", (across, up), (5, -9), textcoords="offset points", fontsize=8
            )
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
    caption = f"Reliability: texts in each tenth of probability. Expected error {error:.4f}"
    return Drawing(svg, caption)


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
