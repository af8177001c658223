"""Baselines of a classification: the majority class, and a logistic regression of words."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss

_MOST_WEIGHTS = 1_000_000  # features times classes; bounds time and memory
_MOST_FEATURES = 100_000
_LONGEST_MEAN_WORD = 15  # characters; longer: the language puts no spaces between words

Labelled = Sequence[tuple[str, int]]


def scores(classes: Sequence[str], train: Labelled, held_out: Labelled) -> dict[str, Any]:
    """The scores of both; see `pipeline.baselines.measure`."""
    if not train or not held_out:
        return {"majority": None, "tfidf_logistic": None}
    labels, wanted = (np.array([label for _, label in texts]) for texts in (train, held_out))
    counts = np.bincount(labels, minlength=len(classes))
    shares = np.tile((counts + 1) / (counts + 1).sum(), (len(wanted), 1))  # add-one: never 0
    majority = _scores(shares, wanted) | {"class": classes[int(counts.argmax())]}
    plain = None
    if np.count_nonzero(counts) > 1:
        texts, asked = ([text for text, _ in texts] for texts in (train, held_out))
        if (found := _probabilities(texts, labels, asked, len(classes))) is not None:
            plain = _scores(found, wanted)
    return {"majority": majority, "tfidf_logistic": plain}


def _probabilities(
    texts: Sequence[str], labels: np.ndarray, asked: Sequence[str], classes: int
) -> np.ndarray | None:
    """(len(asked), classes) float64; None if no word occurs in two texts."""
    words = sum(len(text.split()) for text in texts)
    if sum(map(len, texts)) > _LONGEST_MEAN_WORD * words:
        units: dict[str, Any] = {"analyzer": "char", "ngram_range": (1, 3)}
    else:
        units = {"token_pattern": r"\w+(?:'\w+)*|[^\w\s]", "ngram_range": (1, 2)}
    vectorizer = TfidfVectorizer(
        sublinear_tf=True,
        min_df=2,
        max_features=max(1_000, min(_MOST_FEATURES, _MOST_WEIGHTS // classes)),
        dtype=np.float32,
        **units,
    )
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError:
        return None
    regression = LogisticRegression(C=10, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its score hardly changes any more
        regression.fit(features, labels)
    # A class without a training text keeps a probability above 0, for the log loss.
    probabilities = np.full((len(asked), classes), 1e-9)
    probabilities[:, regression.classes_] = regression.predict_proba(vectorizer.transform(asked))
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def _scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Of probabilities (b, classes) and labels (b,)."""
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "macro_f1": float(
            f1_score(labels, predicted, labels=classes, average="macro", zero_division=0)
        ),
        "log_loss": float(log_loss(labels, probabilities, labels=classes)),
    }
