"""Metrics of a classification from counts of texts, and their names.

A metric that the counts leave undefined is nan. So is a mean, unless it has something to average:
a class without a value has no part in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np


def share(part: int, whole: int) -> float:
    """`part` of `whole`; nan of none."""
    return part / whole if whole else math.nan


def f1(labelled: int, answered: int, right: int) -> float:
    """The harmonic mean of precision and recall of a class.

    Args:
        labelled: texts of the class.
        answered: texts that the model puts into it.
        right: texts in both.
    """
    return share(2 * right, labelled + answered)


def area_under_curve(others: np.ndarray, own: np.ndarray) -> float:
    """The share of pairs, a text of the class and another, that the score ranks correctly.

    A tie counts half.

    Args:
        others, own: (ranks,) int, numbers of texts by the rank of their score, lowest first.
    """
    below = np.cumsum(others) - others
    return share(int(np.sum(own * (2 * below + others))), 2 * int(others.sum()) * int(own.sum()))


def mean(values: Iterable[float]) -> float:
    """The mean of the values that are defined."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def of_class(name: str, metric: str) -> str:
    """The full name of a class's metric. Metrics have no colon, so the last one ends the class."""
    return f"{name}: {metric}"


def class_and_metric(full_name: str) -> tuple[str, str]:
    """The inverse of `of_class`; the class is "" if the metric is not one of a class."""
    name, _, metric = full_name.rpartition(": ")
    return name, metric
