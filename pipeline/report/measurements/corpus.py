"""Measurements on the text: the most frequent words, and how the vocabulary splits it."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from data import features
from pipeline.report.inputs import Run, read_examples
from pipeline.transform.token_ids import RESERVED

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_WORDS_FROM = 5_000_000  # characters of split train
_WORDS = 20
_TEXTS = 500  # of split eval, to split into tokens
_SLICE = 800  # bytes
_LONGEST = 15


def frequent_words(run: Run) -> dict[str, Any]:
    """Counts words of split train in normal form, ignoring case.

    Returns: `words`, pairs of word and count, most frequent first; `characters`, the number read.
    """
    counts: Counter[str] = Counter()
    characters = 0
    for example in read_examples(run, "train"):
        text = run.task.normal_form.apply(example[features.TEXT])
        counts.update(WORD.findall(text.lower()))
        characters += len(text)
        if characters > _WORDS_FROM:
            break
    words = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_WORDS]
    return {"words": words, "characters": characters}


def vocabulary(run: Run) -> dict[str, Any]:
    """Tokenizes texts of split eval, which the vocabulary was not learned from.

    Returns: `size` of the vocabulary; numbers of `texts`, `words`, `characters` and `tokens`;
    `written`, the characters of the tokens (a space at the start of a slice may be lost); `used`,
    the number of pieces that occur; `byte_tokens`, tokens of a single byte; `longest` and
    `frequent` pieces as readable text (a space is "␣").
    """
    import tensorflow_transform as tft

    from pipeline.transform.tokenization import byte_alphabet
    from pipeline.transform.vocabulary import read_vocabulary

    folder = run.artifacts["Transform.transform_graph"]
    alphabet = byte_alphabet()
    pieces = [_readable(piece, alphabet) for piece in read_vocabulary(folder)]
    first_learned = len(RESERVED) + 256
    examples = read_examples(run, "eval", _TEXTS)
    texts = [run.task.normal_form.apply(example[features.TEXT]) for example in examples]
    most = _SLICE
    if run.task.kind == "classification":  # Transform drops the middle of longer texts
        most = run.config["transform"]["head"] + run.config["transform"]["tail"]
    slices = [part for text in texts for part in _slices(text, most)]
    counts = _counts(tft.TFTransformOutput(folder), slices, len(pieces))
    by_count = sorted(range(len(pieces)), key=lambda i: (-counts[i], i))
    by_length = sorted(range(first_learned, len(pieces)), key=lambda i: (-len(pieces[i]), i))
    return {
        "size": len(pieces),
        "texts": len(texts),
        "words": sum(len(WORD.findall(text)) for text in texts),
        "characters": sum(map(len, texts)),
        "tokens": int(counts.sum()),
        "written": sum(len(p) * int(n) for p, n in zip(pieces, counts, strict=True)),
        "used": int((counts > 0).sum()),
        "byte_tokens": int(counts[len(RESERVED) : first_learned].sum()),
        "longest": [pieces[i] for i in by_length[:_LONGEST]],
        "frequent": [[pieces[i], int(counts[i])] for i in by_count[:_LONGEST]],
    }


def _counts(transform: Any, texts: list[str], size: int) -> np.ndarray:
    """How often each id occurs, (size,)."""
    import tensorflow as tf

    layer = transform.transform_features_layer()
    counts = np.zeros(size, np.int64)
    for start in range(0, len(texts), 256):
        batch = tf.constant(texts[start : start + 256])[:, None]
        ids = layer({features.TEXT: batch})[features.TOKENS].flat_values.numpy()
        counts += np.bincount(ids, minlength=size)
    return counts


def _slices(text: str, most: int) -> list[str]:
    """Splits a text before spaces, as words are split, into slices of at most `most` bytes.

    A longer word gives a longer slice.
    """
    slices, size = [""], 0
    for word in re.findall(r" ?[^ ]+| ", text):
        length = len(word.encode())
        if size + length > most:
            slices.append("")
            size = 0
        slices[-1] += word
        size += length
    return [each for each in slices if each]


def _readable(piece: str, alphabet: str) -> str:
    if piece.startswith("[") and piece.endswith("]") and len(piece) > 2:
        return piece  # reserved
    text = bytes(alphabet.index(c) for c in piece).decode("utf-8", "replace")
    return text.replace(" ", "␣").replace("\n", "⏎")
