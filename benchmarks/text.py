"""Real text as token ids: the King James text by words, with the most frequent as vocabulary."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from benchmarks import corpora

UNKNOWN = 1  # 0 is padding and does not occur


def tokens(count: int, vocabulary_size: int) -> np.ndarray:
    """The first `count` words and punctuation marks, as ids from 1: (count,) int32."""
    words: list[str] = []
    for record in corpora.records(corpora.packaged("bible")):
        words += re.findall(r"\w+|[^\w\s]", str(record.features["text"]))
    if len(words) < count:
        raise ValueError(f"text: expected at least {count} words, got {len(words)}: ask for fewer")
    frequent = Counter(words).most_common(vocabulary_size - 2)
    ids = {word: i for i, (word, _) in enumerate(frequent, start=2)}
    return np.array([ids.get(word, UNKNOWN) for word in words[:count]], np.int32)
