"""Weights of the classes in the loss, from the setting `training.class_weights`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from data.errors import UserError

_WHERE = "training.class_weights"


def class_weights(setting: str, classes: Sequence[str], labels: np.ndarray) -> list[float] | None:
    """One weight per class, with mean 1 over the texts; None if all weigh the same.

    Args:
        setting: "equal"; "balanced": all classes together weigh the same, whatever their numbers
            of texts; or a positive number for each class, in their order, such as "1,2.5,1".
        labels: (texts,) int, classes of the training texts.

    Raises:
        UserError: if the setting has another form, or "balanced" meets a class without texts.
    """
    if setting == "equal":
        return None
    counts = np.bincount(labels.astype(int), minlength=len(classes))
    if setting == "balanced":
        if missing := [name for name, n in zip(classes, counts, strict=True) if not n]:
            raise UserError(
                f"{_WHERE}: balanced needs training texts of every class, and {missing[0]!r} has"
                " none; add some, or remove the class"
            )
        weights = 1 / counts
    else:
        weights = _numbers(setting, len(classes))
    mean = float(weights @ counts) / len(labels)
    return [float(weight) / mean for weight in weights]


def _numbers(setting: str, classes: int) -> np.ndarray:
    try:
        numbers = [float(number) for number in setting.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != classes or not all(0 < n < math.inf for n in numbers):
        raise UserError(
            f"{_WHERE}: expected equal, balanced, or {classes} positive numbers, one for each class"
            f" in their order, separated by commas; got {setting!r}"
        )
    return np.array(numbers)
