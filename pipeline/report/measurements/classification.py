"""Measurements of a classifier on split eval: its confusion matrix and its worst mistakes.

A word's weight in a text is how much the log-odds of the predicted class, against all others, fall
when all occurrences of the word are removed: the erasure of Li, Monroe and Jurafsky 2016,
"Understanding Neural Networks through Representation Erasure", arXiv:1612.08220. It needs only the
exported model.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from data import features
from pipeline.report.inputs import Run, read_examples
from pipeline.report.measurements.corpus import WORD

if TYPE_CHECKING:  # imports TensorFlow
    from serving.served_model import ServedModel

_MOST = 3_000  # texts
_BATCH = 64
_WRONG, _WRONG_OF_LABEL = 6, 3  # texts shown, and of one label
_LONGEST = 200  # words of a text that is shown
_WORDS = 8  # shown of each text


def measure(run: Run, model: ServedModel) -> dict[str, Any]:
    """Lets the model classify held-out texts.

    Returns: `count` of texts; `confusion`, counts by [label][predicted], (n, n) for n classes;
    `wrong`, the texts (in normal form) with the most confident wrong predictions, most confident
    first: `label` and `predicted` are numbers of classes, `score` is the predicted one's, and
    `words` are the heaviest, [word, weight].
    """
    rows = list(read_examples(run, "eval", _MOST))
    rows.sort(key=lambda row: (len(row[features.TEXT]), row[features.TEXT]))  # little padding
    texts = [run.task.normal_form.apply(row[features.TEXT]) for row in rows]
    labels = np.array([row[features.LABEL] for row in rows], int)
    n = len(run.task.classes)
    scores = _scores(model, texts, n)
    predicted = np.argmax(scores, axis=1)
    confusion = np.zeros((n, n), int)
    np.add.at(confusion, (labels, predicted), 1)
    return {
        "count": len(rows),
        "confusion": confusion.tolist(),
        "wrong": [
            {
                "text": texts[i],
                "label": int(labels[i]),
                "predicted": int(predicted[i]),
                "score": float(scores[i, predicted[i]]),
                "words": _weights(model, texts[i], scores[i]),
            }
            for i in _most_wrong(texts, labels, scores)
        ],
    }


def _scores(model: ServedModel, texts: list[str], n: int) -> np.ndarray:
    """The probabilities of the classes, (texts, n) float64."""
    parts = [
        model.predict("serving_default", text=texts[start : start + _BATCH])["scores"]
        for start in range(0, len(texts), _BATCH)
    ]
    return np.concatenate([*parts, np.empty((0, n))]).astype(float)


def _most_wrong(texts: list[str], labels: np.ndarray, scores: np.ndarray) -> list[int]:
    """Indices of the most confident wrong predictions."""
    predicted = np.argmax(scores, axis=1)
    shown = [
        i for i in np.flatnonzero(predicted != labels).tolist() if len(texts[i].split()) <= _LONGEST
    ]
    shown.sort(key=lambda i: (-scores[i, predicted[i]], texts[i]))
    chosen: list[int] = []
    of_label: Counter[int] = Counter()
    for i in shown:
        if len(chosen) < _WRONG and of_label[labels[i]] < _WRONG_OF_LABEL:
            chosen.append(i)
            of_label[labels[i]] += 1
    return chosen


def _weights(model: ServedModel, text: str, scores: np.ndarray) -> list[tuple[str, float]]:
    """The words, in lower case, with the largest weights, and the weights in nats.

    Args:
        scores: (n,), of the whole text.
    """
    predicted = int(np.argmax(scores))
    words = sorted({word.lower() for word in WORD.findall(text)})
    without = [re.sub(rf"\b{re.escape(w)}\b", "", text, flags=re.IGNORECASE) for w in words]
    left = _scores(model, without, len(scores))[:, predicted]
    weights = _log_odds(scores[predicted]) - _log_odds(left)
    order = sorted(range(len(words)), key=lambda i: (-abs(weights[i]), words[i]))
    return [(words[i], float(weights[i])) for i in order[:_WORDS]]


def _log_odds(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)
