"""Weights of the classes in the loss, from the setting `training.class_weights`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.errors import UserError


def class_weights(setting: str, classes: Sequence[str], labels: np.ndarray) -> list[float] | None:
    """One weight per class, with mean 1 over the texts; None if all weigh the same.

    Args:
        setting: "equal"; "balanced": the texts of a class together weigh as much as those of any
            other; or a positive number for each class, in their order, such as "1,2.5,1".
        labels: (texts,) int, classes of the training texts.

    Raises:
        UserError: if the setting is "balanced" and a class has no texts.
    """
    if setting == "equal":
        return None
    counts = np.bincount(labels.astype(int), minlength=len(classes))
    if setting == "balanced":
        if missing := [name for name, n in zip(classes, counts, strict=True) if not n]:
            raise UserError(
                "training.class_weights: balanced needs training texts of every class, and"
                f" {missing[0]!r} has none; add some, or remove the class"
            )
        weights = 1 / counts
    else:
        weights = np.array([float(number) for number in setting.split(",")])
    mean = float(weights @ counts) / len(labels)
    return [float(weight) / mean for weight in weights]
