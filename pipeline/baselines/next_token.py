"""Baselines of next-token prediction: the compressor xz, and byte n-grams."""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.baselines.ngrams import NGrams

_ORDER = 7  # bytes; on the King James text 5 gives 1.90 bits per character, 6 1.82, 7 and 8 1.80
_LEAST_BYTES = 1_000


def scores(_: Sequence[str], train: Sequence[str], held_out: Sequence[str]) -> dict[str, Any]:
    """The scores of both; see `pipeline.baselines.measure`."""
    known, asked = ("\n".join(texts).encode() for texts in (train, held_out))
    if len(known) < _LEAST_BYTES or not asked:
        return {"xz": None, "ngrams": None}
    characters = len(asked.decode())
    # What the text adds to the size of the compressed training text.
    xz_bits = 8 * (_xz_bytes(known + b"\n" + asked) - _xz_bytes(known))
    ngram_bits = -np.log2(NGrams(known, _ORDER).probabilities(asked)).sum()
    return {
        "xz": {"bits_per_char": xz_bits / characters},
        "ngrams": {"bits_per_char": float(ngram_bits / characters), "order": _ORDER},
    }


def _xz_bytes(text: bytes) -> int:
    return len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
