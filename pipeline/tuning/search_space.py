"""The search space of `tf-mamba tune`: which settings vary, and in which ranges.

    ranges(preset("imdb", "quick"), fixed=["training.learning_rate"])

Names are those of settings, so that a trial's values work with `tf-mamba run --set`. Only
settings that a training reads can vary, as text and vocabulary are made before it. Sizes and
steps are the user's choice: larger ones nearly always win, and cost time.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.errors import UserError
from data.records import Source
from pipeline.config import RunConfig


@dataclass(frozen=True)
class Between:
    """Any number from `low` to `high`, uniformly, or uniformly by its logarithm."""

    name: str
    low: float
    high: float
    log: bool = False

    def with_value(self, value: float) -> Between:
        """The same, widened to hold `value`."""
        if self.log and value <= 0:
            raise UserError(
                f"{self.name}: expected more than 0, as it varies by its logarithm, got {value:g};"
                f" to keep this value, add --set {self.name}={value:g}"
            )
        low, high = min(self.low, value), max(self.high, value)
        return dataclasses.replace(self, low=low, high=high)


@dataclass(frozen=True)
class OneOf:
    """One of a few numbers."""

    name: str
    values: tuple[float, ...]

    def with_value(self, value: float) -> OneOf:
        """The same, widened to hold `value`."""
        return dataclasses.replace(self, values=tuple(sorted({*self.values, value})))


Range = Between | OneOf

_OPTIMIZER = (
    # Mamba's authors use 3e-3 at 130M parameters, betas 0.9 and 0.95, decay 0.1
    # (arXiv:2312.00752, appendix E.2); the ranges reach two to six times further on both sides.
    Between("training.learning_rate", 5e-4, 6e-3, log=True),
    Between("training.weight_decay", 0.01, 0.5, log=True),
    OneOf("training.beta_2", (0.95, 0.98, 0.99, 0.999)),
    # Averages over about 50, 100, 200 and 500 steps.
    OneOf("training.average_momentum", (0.98, 0.99, 0.995, 0.998)),
)
# Dropouts: from none to rates that leave little to learn from.
RANGES: dict[str, tuple[Range, ...]] = {
    "next-token": (
        *_OPTIMIZER,
        Between("model.word_dropout", 0.0, 0.2),
        Between("model.embedding_dropout", 0.0, 0.3),
        Between("model.residual_dropout", 0.0, 0.3),
        Between("model.output_dropout", 0.0, 0.4),
    ),
    "classification": (
        *_OPTIMIZER,
        Between("training.label_smoothing", 0.0, 0.2),
        Between("model.word_dropout", 0.0, 0.4),
        Between("model.residual_dropout", 0.0, 0.3),
        Between("model.pooled_dropout", 0.0, 0.7),
    ),
}
# Pretraining depends on these, but all trials of a search share one pretraining.
_OF_PRETRAINING = tuple(
    f"model.{part}_dropout" for part in ("word", "embedding", "residual", "output")
)


def ranges(config: RunConfig, fixed: Collection[str] = ()) -> tuple[Range, ...]:
    """The task's ranges, each widened to hold the configuration's value.

    If the run pretrains, settings that pretraining depends on do not vary.

    Args:
        fixed: names of settings that keep the configuration's value.

    Raises:
        UserError: if nothing is left to vary, or a value cannot be in its range.
    """
    of_kind = RANGES[config.task.kind]
    kept = {*fixed, *(_OF_PRETRAINING if config.pretraining.steps else ())}
    free = [each for each in of_kind if each.name not in kept]
    if not free:
        names = ", ".join(each.name for each in of_kind)
        raise UserError(f"--set: no setting is left to vary; leave at least one free of {names}")
    return tuple(each.with_value(operator.attrgetter(each.name)(config)) for each in free)


def what_determines(
    config: RunConfig, source: Source, ranges: Sequence[Range], code: Mapping[str, str]
) -> dict[str, Any]:
    """All that determines the trials of a search except their number, as JSON values.

    `code`: stage to the SHA-256 of its code, of all stages that a trial depends on.
    """
    whole = dataclasses.asdict(config)
    for name in ("preset", "evaluation", "checks", "about"):
        del whole[name]
    return {
        "data_sha256": source.sha256,
        "code_sha256": dict(code),
        "config": whole,
        "ranges": [dataclasses.asdict(each) for each in ranges],
    }
