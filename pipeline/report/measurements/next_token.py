"""Measurements of a next-token model on split eval: bits per character, and samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from data import features
from pipeline.report.inputs import Run, read_examples

if TYPE_CHECKING:  # imports TensorFlow
    from serving.served_model import ServedModel

_MOST = 300  # texts
_BATCH = 16
_SAMPLES = 3
_PROMPT_WORDS = 8
_EXTREMES = 3  # texts shown of the hardest, and of the easiest
_SETTINGS = {
    "max_new_tokens": 80,
    "temperature": 0.8,
    "top_k": 50,
    "top_p": 1.0,
    "repetition_penalty": 1.0,
}


def measure(run: Run, model: ServedModel) -> dict[str, Any]:
    """Lets the model score and continue held-out texts.

    Returns: `count` of texts; `slices`, by feature [value, bits, characters, texts], sorted by
    value; `texts`, [name, bits per character] of the hardest and the easiest, hardest first;
    `samples`, each with the prompt, the model's continuation and the text's own; `settings` of the
    sampling.
    """
    rows = list(read_examples(run, "eval", _MOST))
    rows.sort(key=lambda row: (len(row[features.TEXT]), row[features.TEXT]))  # little padding
    texts = [row[features.TEXT] for row in rows]
    bits, characters = _scores(model, texts)
    sliced_by = run.config["evaluation"]["slices"]
    names = [_name(row, sliced_by) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (-bits[i] / characters[i], names[i]))
    shown = order[:_EXTREMES] + order[_EXTREMES:][-_EXTREMES:]
    return {
        "count": len(rows),
        "slices": {name: _by(name, rows, bits, characters) for name in sliced_by},
        "texts": [[names[i], float(bits[i] / characters[i])] for i in shown],
        "samples": _samples(model, texts),
        "settings": _SETTINGS,
    }


def _scores(model: ServedModel, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    parts = [
        model.predict("score", text=texts[start : start + _BATCH])
        for start in range(0, len(texts), _BATCH)
    ]
    bits, characters = (np.concatenate([part[n] for part in parts]) for n in ("bits", "characters"))
    return bits.astype(float), characters.astype(float)


def _by(feature: str, rows: list[dict[str, Any]], bits: Any, characters: Any) -> list[list[Any]]:
    sums: dict[str, list[float]] = {}
    for row, b, c in zip(rows, bits, characters, strict=True):
        if feature in row:
            of_value = sums.setdefault(str(row[feature]), [0.0, 0.0, 0])
            for i, number in enumerate((b, c, 1)):
                of_value[i] += number
    return [[value, *sums[value]] for value in sorted(sums)]


def _samples(model: ServedModel, texts: list[str]) -> list[dict[str, str]]:
    """Continues the first words of texts of medium length."""
    step = max(1, len(texts) // (_SAMPLES + 1))
    samples = []
    for seed, text in enumerate(texts[step::step][:_SAMPLES]):
        words = text.split(" ")
        prompt, rest = " ".join(words[:_PROMPT_WORDS]), " ".join(words[_PROMPT_WORDS:])
        settings = {name: [value] for name, value in (_SETTINGS | {"seed": seed}).items()}
        (written,) = model.predict("serving_default", text=[prompt], **settings)["text"]
        samples.append({"prompt": prompt, "model": written.decode(), "text": rest[:400]})
    return samples


def _name(row: dict[str, Any], sliced_by: Sequence[str]) -> str:
    """The values of the features that texts are sliced by, and the beginning of the text."""
    values = [str(row[name]) for name in sliced_by if name in row]
    beginning = " ".join(row[features.TEXT].split())[:40]
    return ": ".join([", ".join(values), beginning]) if values else beginning
