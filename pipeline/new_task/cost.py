"""What a preset's training will cost here: a few steps of it are taken and timed."""

from __future__ import annotations

import csv
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import RunConfig, TrainingConfig
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.inputs import Inputs, prepare
from pipeline.training.log import CSV_FILE
from pipeline.training.loop import fit

_STEPS, _TIMED = 6, 4  # the first steps compile


def training_minutes(config: RunConfig) -> float:
    """Minutes of all steps of a preset, pretraining too, at the speed that this machine has now."""
    seconds = _seconds(config, config.training, pretraining=False) * config.training.members
    if config.pretraining.steps:
        seconds += _seconds(config, config.pretraining, pretraining=True)
    return seconds / 60


def _seconds(config: RunConfig, training: TrainingConfig, pretraining: bool) -> float:
    by_windows = pretraining or config.task.kind == "next-token"
    if by_windows:
        length, rows = training.window, training.batch
        tokens_a_step = float(length * rows)
    else:
        # Of the bucket in the middle; buckets hold about as many texts each.
        length, rows = training.buckets[len(training.buckets) // 2]
        epoch = [(longest * batch, 1 / batch) for longest, batch in training.buckets]
        steps = sum(share for _, share in epoch)
        tokens_a_step = sum(tokens * share for tokens, share in epoch) / steps
    rate = _tokens_per_second(config, training, pretraining, length, rows)
    return training.steps * tokens_a_step / rate


def _tokens_per_second(
    config: RunConfig, training: TrainingConfig, pretraining: bool, length: int, rows: int
) -> float:
    """The speed of a few steps on random tokens."""
    random = np.random.default_rng(config.seed)
    size = config.model.vocabulary_size
    number = rows * (_STEPS + 2)
    texts = list(random.integers(3, size, (number, length), dtype=np.int32))
    labels = np.arange(number) % max(1, len(config.task.classes))
    few = dataclasses.replace(
        training,
        steps=_STEPS,
        members=1,
        buckets=((length, rows),),
        evaluate_every=1,  # a row of the log for each step, as there is nothing to evaluate
        patience=0,
    )
    inputs = Inputs(
        task=config.task,
        seed=config.seed,
        model=config.model,
        training=few,
        pretraining=pretraining,
        vocabulary=[],
        train=(texts, labels),
        held_out=(texts[:rows], labels[:rows]),
    )
    model, batches, _ = prepare(inputs)
    with tempfile.TemporaryDirectory(prefix="tf-mamba-new-") as folder:
        fit(model, batches, few, checkpoints=Checkpoints(Path(folder)), log_folder=folder)
        with open(Path(folder, CSV_FILE), newline="") as file:
            rows_of_log: list[dict[str, Any]] = list(csv.DictReader(file))
    return float(np.median([float(row["tokens_per_second"]) for row in rows_of_log[-_TIMED:]]))
