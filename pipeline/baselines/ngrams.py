"""A model of byte n-grams: interpolated Kneser-Ney, on sorted arrays.

The probability of byte w after a context h of k bytes, from the longest context down:

    p(w | h) = (max(c(h w) - D, 0) + D t(h) p(w | h without its first byte)) / c(h)

t(h) is the number of different bytes after h. c counts occurrences at the highest order, and below
it the different bytes that precede. Below order 1 all 256 bytes are equally likely. A context that
never occurred leaves the shorter one's probability. So the probabilities of all 256 bytes sum to 1.

Source: Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling",
section 2.7; D by their equation 13, for each order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LONGEST = 8  # bytes of an n-gram: it is one integer of 64 bits
_DISCOUNT = 0.5  # if no n-gram occurs just once, as a byte that is new needs a probability above 0


@dataclass(frozen=True)
class _Order:
    """The counts of one order: sorted n-grams, and their sorted contexts."""

    grams: np.ndarray  # (g,) uint64
    counts: np.ndarray  # (g,) float64
    contexts: np.ndarray  # (h,) uint64, without the last byte
    totals: np.ndarray  # (h,) float64, c(h)
    types: np.ndarray  # (h,) float64, t(h)
    discount: float


class NGrams:
    """The n-grams of a text."""

    def __init__(self, text: bytes, order: int):
        """Counts the n-grams of up to `order` bytes; raises ValueError if it is not 1 to LONGEST
        or the text is shorter.
        """
        if not 1 <= order <= min(LONGEST, len(text)):
            raise ValueError(
                f"order: expected 1 to {min(LONGEST, len(text))} for a text of {len(text)} bytes,"
                f" got {order}"
            )
        self.order = order
        grams, counts = np.unique(_grams(text, order), return_counts=True)
        orders = [_order(grams, counts)]
        for n in range(order - 1, 0, -1):
            # Each different n-gram of the order above counts once, without its first byte.
            grams, counts = np.unique(grams & _mask(n), return_counts=True)
            orders.append(_order(grams, counts))
        self._orders = orders[::-1]

    def probabilities(self, text: bytes) -> np.ndarray:
        """The probability of each byte after those before it in `text`: (len(text),) float64."""
        result = np.full(len(text), 1 / 256)
        for n, order in enumerate(self._orders, 1):
            grams = _grams(text, n)
            count = _looked_up(order.grams, order.counts, grams)
            context = grams >> np.uint64(8)
            total = _looked_up(order.contexts, order.totals, context)
            types = _looked_up(order.contexts, order.types, context)
            lower = result[n - 1 :]  # the first bytes have shorter contexts
            known = total > 0
            mixed = np.maximum(count - order.discount, 0) + order.discount * types * lower
            result[n - 1 :] = np.where(known, mixed / np.where(known, total, 1), lower)
        return result


def _mask(n: int) -> np.uint64:
    """Keeps the last `n` bytes."""
    return np.uint64((1 << 8 * n) - 1)


def _grams(text: bytes, n: int) -> np.ndarray:
    """The n-grams of a text as integers, the last byte lowest: (len(text) - n + 1,) uint64."""
    letters = np.frombuffer(text, np.uint8).astype(np.uint64)
    rows = max(len(letters) - n + 1, 0)
    grams = np.zeros(rows, np.uint64)
    for i in range(n):
        grams = (grams << np.uint64(8)) | letters[i : i + rows]
    return grams


def _order(grams: np.ndarray, counts: np.ndarray) -> _Order:
    contexts, starts = np.unique(grams >> np.uint64(8), return_index=True)
    once, twice = (int((counts == n).sum()) for n in (1, 2))
    return _Order(
        grams,
        counts.astype(np.float64),
        contexts,
        np.add.reduceat(counts, starts).astype(np.float64),
        np.diff(np.append(starts, len(grams))).astype(np.float64),
        once / (once + 2 * twice) if once else _DISCOUNT,
    )


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key, 0 for one that there is not."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0.0)
