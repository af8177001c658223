"""What simple models reach on split eval, so that a reader sees whether the model learned."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from data import features
from pipeline.report.inputs import Run, read_examples


def measure(run: Run) -> dict[str, Any]:
    """Trains them on split train; returns what `pipeline.baselines.measure` does."""
    from pipeline import baselines  # imports scikit-learn

    task = run.task
    facts = run.read_json("TextExampleGen.records", "records.json")["facts"]
    train, held_out = (
        _texts(run, split, facts, most[task.kind])
        for split, most in (
            ("train", baselines.MOST_CHARACTERS),
            ("eval", baselines.MOST_HELD_OUT),
        )
    )
    return baselines.measure(task.kind, task.classes, train, held_out)


def _texts(run: Run, split: str, facts: Mapping[str, Any], most: int) -> list[Any]:
    """Texts in normal form, of a classification with their labels.

    Of a large split every n-th, as the baselines take `most` characters and no more.
    """
    step = max(1, facts[split].get("characters", 0) // most)
    examples = itertools.islice(read_examples(run, split), 0, None, step)
    if run.task.kind == "next-token":
        return [_text(run, example) for example in examples]
    return [(_text(run, example), example[features.LABEL]) for example in examples]


def _text(run: Run, example: Mapping[str, Any]) -> str:
    return run.task.normal_form.apply(example[features.TEXT])
