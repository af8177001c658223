"""Formats numbers for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence


def count(number: float) -> str:
    """Rounded to a whole number, with commas between thousands."""
    return f"{number:,.0f}"


def figure(number: float) -> str:
    """With four decimals; whole numbers and large ones without."""
    if math.isfinite(number) and (number == int(number) or abs(number) >= 10_000):
        return count(number)
    return f"{number:.4f}" if abs(number) >= 0.001 else f"{number:.3g}"


def interval(bounds: Sequence[float] | None) -> str:
    """Lower and upper bound; empty for None."""
    return "" if bounds is None else " to ".join(map(figure, bounds))


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f}%" if whole else ""


def mebibytes(number: float) -> str:
    return f"{number / 2**20:,.0f} MiB"
