"""Presets for a corpus: the built-in ones of its kind, with fewer steps for less text.

Every number that is not here is the built-in task's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data import task_files
from data.features import TEXT
from data.normal_form import NormalForm
from data.task_files import TaskFile
from data.tasks import Kind
from pipeline import presets
from pipeline.config import RunConfig, TrainingConfig
from pipeline.new_task.inspection import Found, quantiles
from pipeline.new_task.token_lengths import token_lengths

PRESETS = ("quick", "full", "best", "smoke")

_TOKENS_PER_STEP = 4_096  # of a classification, see TrainingConfig.buckets
_LARGEST_BATCH = 64  # texts; more gain no speed, and leave too few steps in an epoch of short texts
_MEASURED_CHARACTERS = 2_000_000  # by which the lengths in tokens are estimated
_LEAST_SMOKE = 1_000  # records
_LEAST_SMOKE_CHARACTERS = 300_000  # of next-token prediction
_LEAST_OF_A_CLASS = 8  # in split eval of preset smoke


@dataclass(frozen=True)
class _Effort:
    """How long a preset trains: `epochs`, but at least `steps`, unless that is `most` epochs."""

    epochs: float
    steps: int
    most: float

    def of(self, epoch: int, ceiling: int) -> int:
        """Steps, for an epoch of so many; `ceiling`: those of the built-in preset."""
        wanted = max(self.epochs * epoch, min(self.most * epoch, self.steps))
        return max(1, min(ceiling, math.ceil(wanted)))


# As many epochs as the built-in tasks' presets take; more of them where a text is small.
_CLASSIFICATION = {"quick": _Effort(1.75, 2_000, 8), "full": _Effort(3, 3_000, 12)}
_PRETRAINING = _Effort(2, 1_000, 10)
_NEXT_TOKEN = {
    "quick": _Effort(1.9, 850, 10),
    "full": _Effort(10, 2_000, 20),
    "best": _Effort(14, 2_800, 28),
}


@dataclass(frozen=True)
class Sized:
    """Changes to presets.

    Attributes:
        base: the built-in task whose presets are changed.
        sections: by preset, sections of the RunConfig.
        tokens: of split train, about.
        cut: by preset, the share of texts that is longer than what the model reads of it.
        epochs: by preset.
    """

    base: str
    sections: Mapping[str, Mapping[str, Any]]
    tokens: int
    cut: Mapping[str, float]
    epochs: Mapping[str, float]


def base_of(kind: Kind) -> TaskFile:
    """The built-in task of a kind."""
    files = map(task_files.find, task_files.built_in_tasks())
    return next(file for file in files if file.task.kind == kind)


def sized(kind: Kind, form: NormalForm, found: Found, classes: int) -> Sized:
    """Chooses vocabulary, lengths, batches, steps and the share that smoke reads."""
    base = base_of(kind)
    configs = {name: presets.of_file(base, name) for name in PRESETS}
    characters = found.characters["train"]
    texts = [form.apply(str(record[TEXT])) for record in found.samples["train"]]
    texts = texts[:: math.ceil(sum(map(len, texts)) / _MEASURED_CHARACTERS) or 1]
    vocabulary = _vocabulary(kind, configs["quick"].model.vocabulary_size, characters)
    lengths = token_lengths(texts, vocabulary)
    tokens = int(characters * lengths.sum() / max(1, sum(map(len, texts))))
    share = _smoke_share(kind, found, classes)
    if kind == "classification":
        return _classification(
            base, configs, lengths, found.records["train"], tokens, share, vocabulary
        )
    return _next_token(base, configs, tokens, share, vocabulary)


def _vocabulary(kind: Kind, largest: int, characters: int) -> int:
    """Pieces, so that each is seen often enough to be learned."""
    each = 250 if kind == "classification" else 1_000  # characters
    return min(largest, max(600, 100 * round(characters / each / 100)))


def _smoke_share(kind: Kind, found: Found, classes: int) -> float:
    """The share of the records that shows that all stages run."""
    if kind == "next-token":
        share = _LEAST_SMOKE_CHARACTERS / max(1, sum(found.characters.values()))
    else:
        rarest = min(found.class_counts("eval", classes))
        share = max(_LEAST_SMOKE / max(1, found.total), _LEAST_OF_A_CLASS / max(1, rarest))
    return min(1.0, max(0.1, math.ceil(100 * share) / 100))


def _classification(
    base: TaskFile,
    configs: Mapping[str, RunConfig],
    lengths: np.ndarray,
    records: int,
    tokens: int,
    share: float,
    vocabulary: int,
) -> Sized:
    sections: dict[str, dict[str, Any]] = {}
    cut, epochs = {}, {}
    for name in ("quick", "full"):
        config, effort = configs[name], _CLASSIFICATION[name]
        transform, longest = _kept(config, lengths)
        buckets = _buckets(lengths, longest, 4 if name == "quick" else 6)
        epoch = _steps_of_an_epoch(lengths, buckets, records)
        steps = effort.of(epoch, config.training.steps)
        training = {"steps": steps, "buckets": buckets, **_schedule(config.training, steps)}
        sections[name] = {
            "transform": transform,
            "model": {"vocabulary_size": vocabulary},
            "training": training,
        }
        if config.pretraining.steps:
            sections[name]["pretraining"] = _pretraining(config.pretraining, tokens)
        cut[name] = float(np.mean(lengths > longest))
        epochs[name] = steps / epoch
    sections["best"] = {
        "like": "full",
        "training": {"members": configs["best"].training.members},
    }
    smoke = configs["smoke"]
    transform, longest = _kept(smoke, lengths)
    sections["smoke"] = {
        "data": {"fraction": share},
        "transform": transform,
        "model": {"vocabulary_size": min(vocabulary, smoke.model.vocabulary_size)},
        "training": {"buckets": _buckets(lengths, longest, 1)},
    }
    return Sized(base.task.name, sections, tokens, cut, epochs)


def _kept(config: RunConfig, lengths: np.ndarray) -> tuple[dict[str, int], int]:
    """How much is read of a text: (head and tail, their sum), in tokens."""
    head, tail = config.transform.head, config.transform.tail
    # Estimates of lengths are a few percent off, and few texts are as long as the longest.
    enough = 16 * math.ceil(1.1 * quantiles(lengths, 0.99)[0] / 16)
    if enough <= head + tail:
        return {"head": enough, "tail": 0}, enough
    return {"head": head, "tail": tail}, head + tail


def _buckets(lengths: np.ndarray, longest: int, number: int) -> list[list[int]]:
    """(longest text, texts per step) of buckets that hold about as many texts each."""
    shares = [(i + 1) / number for i in range(number - 1)]
    bounds = {
        min(longest, 8 * math.ceil(bound / 8)) for bound in quantiles(lengths, *shares) if bound
    }
    return [
        [bound, max(2, min(_LARGEST_BATCH, _TOKENS_PER_STEP // bound))]
        for bound in sorted(bounds | {longest})
    ]


def _steps_of_an_epoch(lengths: np.ndarray, buckets: Sequence[Sequence[int]], records: int) -> int:
    bounds = [bound for bound, _ in buckets]
    at = np.searchsorted(bounds, np.minimum(lengths, bounds[-1]))
    counts = np.bincount(at, minlength=len(buckets)) * records / len(lengths)
    return sum(math.ceil(count / batch) for count, (_, batch) in zip(counts, buckets, strict=True))


def _pretraining(base: TrainingConfig, tokens: int) -> dict[str, int]:
    epoch = tokens // (base.batch * base.window)
    if epoch < 4:  # too little text to learn anything from
        return {"steps": 0}
    steps = _PRETRAINING.of(epoch, base.steps)
    return {"steps": steps, **_schedule(base, steps)}


def _schedule(base: TrainingConfig, steps: int) -> dict[str, int]:
    """What goes with fewer steps."""
    schedule = {"warmup_steps": min(base.warmup_steps, max(10, steps // 10))}
    if base.evaluate_every:
        schedule["evaluate_every"] = max(1, steps * base.evaluate_every // base.steps)
    return schedule


def _next_token(
    base: TaskFile, configs: Mapping[str, RunConfig], tokens: int, share: float, vocabulary: int
) -> Sized:
    sections: dict[str, dict[str, Any]] = {}
    epochs = {}
    for name, effort in _NEXT_TOKEN.items():
        training = configs[name].training
        # At least four batches of windows in an epoch.
        window = training.window
        while window > 32 and training.batch * (window + 1) * 4 > tokens:
            window //= 2
        epoch = max(1, tokens // (training.batch * window))
        steps = effort.of(epoch, training.steps)
        sections[name] = {
            "model": {"vocabulary_size": vocabulary},
            "training": {"steps": steps, **_schedule(training, steps)},
        }
        if window != training.window:
            sections[name]["training"]["window"] = window
        epochs[name] = steps / epoch
    smoke = configs["smoke"].model.vocabulary_size
    sections["smoke"] = {
        "data": {"fraction": share},
        "model": {"vocabulary_size": min(vocabulary, smoke)},
    }
    return Sized(base.task.name, sections, tokens, {}, epochs)
