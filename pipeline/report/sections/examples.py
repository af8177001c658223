"""Single texts: those that the model gets wrong, or text that it generates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.blocks import Block, Passage, Sentence
from pipeline.report.inputs import Run
from pipeline.report.measurements.corpus import WORD
from pipeline.report.missing import not_measured

TITLES = {"classification": "Examples that it gets wrong", "next-token": "Generated samples"}


def section(run: Run) -> list[Block]:
    found = run.measurements.get("model")
    if found is None or "error" in found:
        return [not_measured(TITLES[run.task.kind], found)]
    if run.task.kind == "classification":
        return _wrong(found, run.task.classes)
    return _samples(found)


def _wrong(found: Mapping[str, Any], classes: Sequence[str]) -> list[Block]:
    if not found["wrong"]:
        return [Sentence("No text that is short enough to show was predicted wrongly.")]
    blocks: list[Block] = [
        Sentence(
            "The texts of at most 200 words that the model was most sure of, but got wrong. The"
            " words with the largest weights are marked. A word's weight is how much the log-odds"
            " of the predicted class fall without it (erasure; Li, Monroe and Jurafsky 2016,"
            " arXiv:1612.08220). Solid underline: towards this class; dashed: away from it."
        )
    ]
    for each in found["wrong"]:
        weights = {word: weight for word, weight in each["words"]}
        blocks.append(
            Passage(
                f"{classes[each['label']]}, but predicted"
                f" {classes[each['predicted']]} ({each['score']:.3f})",
                _marked(each["text"], weights),
                "Weights: " + ", ".join(f"{word} {weight:+.2f}" for word, weight in each["words"]),
            )
        )
    return blocks


def _marked(text: str, weights: Mapping[str, float]) -> list[tuple[str, str]]:
    """Splits a text into parts; each word with a weight is one part, marked `up` or `down`."""
    parts, end = [], 0
    for match in WORD.finditer(text):
        weight = weights.get(match[0].lower())
        if weight is not None:
            parts.append((text[end : match.start()], ""))
            parts.append((match[0], "up" if weight > 0 else "down"))
            end = match.end()
    return [part for part in (*parts, (text[end:], "")) if part[0]]


def _samples(found: Mapping[str, Any]) -> list[Block]:
    settings = ", ".join(f"{name} {value}" for name, value in found["settings"].items())
    blocks: list[Block] = [
        Sentence(
            "The first words of texts of split eval, and how the model continues them"
            f" ({settings}; seeds from 0). Below each sample: how the text itself continues."
        )
    ]
    for number, sample in enumerate(found["samples"], start=1):
        parts = [(sample["prompt"], "prompt"), (sample["model"], "")]
        blocks.append(Passage(f"Sample {number}", parts, f"The text: {sample['text']} ..."))
    if not found["samples"]:
        blocks = [Sentence("Split eval has too few texts for samples.")]
    return blocks
