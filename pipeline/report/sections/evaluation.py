"""The evaluation: metrics, slices, the last pushed model, and the model's own answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pipeline.report import evaluation, figures
from pipeline.report.blocks import Block, Drawing, Fold, Sentence, Table
from pipeline.report.evaluation import Evaluation
from pipeline.report.inputs import Run
from pipeline.report.missing import not_measured
from pipeline.report.numbers import count, figure, interval, share

_MOST_CLASSES = 12  # of a confusion matrix, and of a table that is not folded
_MOST_PAIRS = 15
_MOST_BARS = 80
_BASELINES = {  # see pipeline/baselines
    "majority": "always the most frequent class",
    "tfidf_logistic": "logistic regression of words",
    "xz": "the compressor xz",
    "ngrams": "n-grams of bytes",
}
_COMPARED = ("accuracy", "macro_f1", "log_loss", "bits_per_char")  # metrics


def section(run: Run) -> list[Block]:
    blocks: list[Block]
    if run.has(evaluation.EVALUATION):
        evaluated = evaluation.read(run)
        blocks = [
            _overall(evaluated),
            _baselines(run, evaluated.values),
            *_classes(evaluated),
            *_slices(evaluated),
        ]
        if not evaluated.last:
            blocks.append(Sentence("There was no earlier pushed model to compare with."))
        if evaluated.reliability:
            blocks.append(_reliability(evaluated))
    else:
        blocks = [Sentence("The model was not evaluated.")]
    found = run.measurements.get("model")
    if found is None or "error" in found:
        blocks.append(not_measured("The model's own answers", found))
    elif run.task.kind == "classification":
        blocks.append(_confusion(found, run.task.classes))
    else:
        blocks += _bits_of_slices(found)
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


def _baselines(run: Run, values: Mapping[str, float]) -> Block:
    """The model's metrics beside those of simple models."""
    found = run.measurements.get("baselines")
    if not found or "error" in found:
        return not_measured("Baselines", found)
    of_baselines = {words: found[name] for name, words in _BASELINES.items() if found.get(name)}
    if not of_baselines:
        return Sentence("Baselines: the texts are too few for them.")
    names = [name for name in _COMPARED if any(name in each for each in of_baselines.values())]
    rows = [
        (model, *(_or_empty(each.get(name)) for name in names))
        for model, each in {"this model": values, **of_baselines}.items()
    ]
    train, held_out = (count(found[name]["texts"]) for name in ("train", "held_out"))
    caption = f"Beside simple baselines: {train} texts to learn from, {held_out} of split eval"
    return Table(caption, ("", *names), rows)


def _classes(evaluated: Evaluation) -> list[Block]:
    """The classes by their F1, the worst first; those without F1 come last."""
    classes = evaluated.classes
    if not classes:
        return []
    by_f1 = sorted(classes, key=lambda name: classes[name].get("f1", math.inf))
    names = ("precision", "recall", "f1", "auc")
    rows, bounds = [], []
    for name in by_f1:
        rows.append([name, *(_or_empty(classes[name].get(metric)) for metric in names)])
        of_class = evaluated.class_intervals.get(name, {})
        bounds.append([name, *(interval(of_class.get(metric)) for metric in names)])
    head = ("class", *names)
    caption = "Classes, the lowest F1 first"
    more = [Table("95% intervals of the classes", head, bounds)]
    if len(rows) > _MOST_CLASSES:
        more.insert(0, Table(caption, head, rows))
        caption = f"The {_MOST_CLASSES} of {len(rows)} classes with the lowest F1"
    return [Table(caption, head, rows[:_MOST_CLASSES]), Fold("More on the classes", more)]


def _or_empty(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else figure(value)


def _confusion(found: Mapping[str, Any], classes: Sequence[str]) -> Table:
    counts = found["confusion"]
    of_texts = f"{count(found['count'])} texts of split eval"
    if len(classes) <= _MOST_CLASSES:
        rows = [
            (name, *map(count, row), f"{row[i] / max(1, sum(row)):.3f}")
            for i, (name, row) in enumerate(zip(classes, counts, strict=True))
        ]
        return Table(
            f"Confusion matrix of {of_texts}: labels down, predictions across",
            ("label", *classes, "correct"),
            rows,
        )
    pairs = [
        (number, sum(row), label, predicted)
        for label, row in zip(classes, counts, strict=True)
        for predicted, number in zip(classes, row, strict=True)
        if number and label != predicted
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    return Table(
        f"The most confused classes, of {of_texts}",
        ("label", "predicted", "texts", "of the label's"),
        [
            (label, predicted, count(number), share(number, whole))
            for number, whole, label, predicted in pairs[:_MOST_PAIRS]
        ],
    )


def _reliability(evaluated: Evaluation) -> Drawing:
    bins = evaluated.reliability

    def paint(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=figures.MUTED, lw=1, ls=":", label="perfect")
        x = [each["probability"] for each in bins]
        y = [each["correct"] for each in bins]
        axes.plot(x, y, color=figures.SERIES[0], lw=1.6, marker="o", ms=4, label="this model")
        for each, across, up in zip(bins, x, y, strict=True):
            number = f"{each['count']:,.0f}"
            axes.annotate(number, (across, up), (5, -9), textcoords="offset points", fontsize=8)
        figures.label(axes, "probability of the predicted class", "share that is correct")
        axes.legend()

    points = "; ".join(f"{b['probability']:.2f}: {b['correct']:.2f}" for b in bins)
    svg = figures.draw(
        "reliability",
        "Reliability of the probabilities",
        f"Mean probability and share of correct predictions in each tenth: {points}.",
        paint,
        height=3.4,
    )
    caption = "Reliability of the predicted class, with the number of texts in each tenth"
    return Drawing(svg, caption)


def _bits_of_slices(found: Mapping[str, Any]) -> list[Block]:
    blocks: list[Block] = []
    for number, (feature, slices) in enumerate(found["slices"].items()):
        values = {name: bits / characters for name, bits, characters, _ in slices if characters}
        if not values:
            continue
        by_value = sorted(values.items(), key=lambda item: (-item[1], item[0]))
        shown = dict(by_value[:_MOST_BARS])
        what = f"Bits per character by {feature}"
        if len(values) > len(shown):
            what += f", the {len(shown)} hardest of {len(values)}"
        svg = figures.draw(
            f"slices-{number}",
            what,
            ", ".join(f"{name} {value:.3f}" for name, value in shown.items()),
            partial(figures.bars, values=shown, across="bits per character", form="{:.2f}"),
            height=0.8 + 0.21 * len(shown),
        )
        blocks.append(Drawing(svg, f"{what}, in split eval"))
    rows = [(name, f"{value:.3f}") for name, value in found["texts"]]
    caption = "The hardest and the easiest texts of split eval"
    return [*blocks, Table(caption, ("text", "bits per character"), rows)]
