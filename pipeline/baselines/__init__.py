"""What a corpus gives without a neural network, in seconds: is a model's score any good?

`measure` gives chance (the majority class, or the compressor xz) and a plain model (a logistic
regression of words, or byte n-grams). It imports nothing else of the project.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

from pipeline.baselines import classification, next_token

__all__ = ["measure"]

# A plain model's score hardly depends on more; with these it takes 20 s on two cores.
MOST_CHARACTERS = {"classification": 8_000_000, "next-token": 3_000_000}  # of training texts
MOST_HELD_OUT = {"classification": 4_000_000, "next-token": 500_000}

Texts = Sequence[str] | Sequence[tuple[str, int]]


def measure(
    kind: Literal["classification", "next-token"],
    classes: Sequence[str],
    train: Texts,
    held_out: Texts,
) -> dict[str, Any]:
    """Trains the baselines on some texts and scores them on others; the same texts, the same score.

    Args:
        kind: the task's.
        classes: of a classification, in the order of the labels' numbers.
        train, held_out: texts in normal form; of a classification (text, label's number). If they
            have more than MOST_CHARACTERS and MOST_HELD_OUT, texts at even distances are taken, of
            about as many characters.

    Returns:
        train and held_out: {"texts", "of", "characters"}: the number taken, of how many; seconds;
        for a classification, majority and tfidf_logistic: accuracy, macro_f1, log_loss (nats), and
        majority's class; for next-token, xz and ngrams: bits_per_char, and the order of the ngrams.
        An entry is None if the texts are too few for its model.
    """
    started = time.perf_counter()
    used = {
        "train": _spread(train, MOST_CHARACTERS[kind]),
        "held_out": _spread(held_out, MOST_HELD_OUT[kind]),
    }
    result: dict[str, Any] = {
        name: {
            "texts": len(used[name]),
            "of": len(given),
            "characters": sum(map(_length, used[name])),
        }
        for name, given in (("train", train), ("held_out", held_out))
    }
    of_kind = classification.scores if kind == "classification" else next_token.scores
    result |= of_kind(classes, **used)
    return result | {"seconds": round(time.perf_counter() - started, 1)}


def _length(item: str | tuple[str, int]) -> int:
    return len(item if isinstance(item, str) else item[0])


def _spread(items: Texts, most: int) -> list[Any]:
    """Items at even distances, of about `most` characters together; none of more than that."""
    characters = sum(map(_length, items))
    step = max(1.0, characters / most)
    number = max(int(len(items) / step), min(len(items), 1))
    return [_cut(items[int(i * step)], most) for i in range(number)]


def _cut(item: Any, most: int) -> Any:
    return item[:most] if isinstance(item, str) else (item[0][:most], item[1])
