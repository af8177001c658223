"""Measurements of a sentiment model on split eval: its confusion matrix and its worst mistakes.

A word's weight in a text is how much the log-odds of "positive" fall when all occurrences of the
word are removed: the erasure of Li, Monroe and Jurafsky 2016, "Understanding Neural Networks
through Representation Erasure", arXiv:1612.08220. It needs only the exported model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from data import features
from pipeline.report.inputs import Run, read_examples
from pipeline.report.measurements.corpus import WORD

if TYPE_CHECKING:  # imports TensorFlow
    from serving.served_model import ServedModel

_MOST = 3_000  # texts
_BATCH = 64
_WRONG = 3  # texts shown per label
_LONGEST = 200  # words of a text that is shown
_WORDS = 8  # shown of each text


def measure(run: Run, model: ServedModel) -> dict[str, Any]:
    """Lets the model classify held-out texts.

    Returns: `count` of texts; `confusion`, counts by [label][predicted]; `wrong`, the texts (in
    normal form) with the most confident wrong predictions, each with its heaviest words.
    """
    label = str(run.task.label)
    rows = list(read_examples(run, "eval", _MOST))
    rows.sort(key=lambda row: (len(row[features.TEXT]), row[features.TEXT]))  # little padding
    texts = [run.task.normal_form.apply(row[features.TEXT]) for row in rows]
    labels = np.array([row[label] for row in rows], int)
    probabilities = _probabilities(model, texts)
    predicted = features.is_positive(probabilities).astype(int)
    confusion = np.zeros((2, 2), int)
    np.add.at(confusion, (labels, predicted), 1)
    return {
        "count": len(rows),
        "confusion": confusion.tolist(),
        "wrong": [
            {
                "text": texts[i],
                "label": int(labels[i]),
                "probability": float(probabilities[i]),
                "words": _weights(model, texts[i], float(probabilities[i])),
            }
            for i in _most_wrong(texts, labels, probabilities)
        ],
    }


def _probabilities(model: ServedModel, texts: list[str]) -> np.ndarray:
    """The probabilities of "positive", (texts,) float64."""
    parts = [
        model.predict("serving_default", text=texts[start : start + _BATCH])["probability"]
        for start in range(0, len(texts), _BATCH)
    ]
    return np.concatenate([*parts, np.empty(0)]).astype(float)


def _most_wrong(texts: list[str], labels: np.ndarray, probabilities: np.ndarray) -> list[int]:
    """Indices of the most confident wrong predictions; texts that are positive come first."""
    wrong = features.is_positive(probabilities) != (labels == 1)
    chosen = []
    for label in (1, 0):
        of_label = np.where(label, probabilities, 1 - probabilities)
        shown = [
            i
            for i in np.flatnonzero(wrong & (labels == label)).tolist()
            if len(texts[i].split()) <= _LONGEST
        ]
        chosen += sorted(shown, key=lambda i: (of_label[i], texts[i]))[:_WRONG]
    return chosen


def _weights(model: ServedModel, text: str, probability: float) -> list[tuple[str, float]]:
    """The words, in lower case, with the largest weights, and the weights in nats."""
    words = sorted({word.lower() for word in WORD.findall(text)})
    without = [re.sub(rf"\b{re.escape(w)}\b", "", text, flags=re.IGNORECASE) for w in words]
    weights = _log_odds(np.array(probability)) - _log_odds(_probabilities(model, without))
    order = sorted(range(len(words)), key=lambda i: (-abs(weights[i]), words[i]))
    return [(words[i], float(weights[i])) for i in order[:_WORDS]]


def _log_odds(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)
