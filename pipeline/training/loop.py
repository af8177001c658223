"""The training loop: steps, evaluations, checkpoints, early stop.

A killed training resumes from its last checkpoint, which holds all that the next step
depends on: weights, dropout seeds, the optimizer's moments and averages, the state carried
from batch to batch, the step, and the best weights so far.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from data.errors import UserError
from mamba_model import adamw
from pipeline.config import TrainingConfig
from pipeline.training import scan_choice
from pipeline.training.batches import LabelledTexts, WholeDocuments, Windows
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.log import Row, TrainingLog

_LOG_EVERY = 50  # steps
_COLUMNS = (
    "loss",
    "accuracy",
    "learning_rate",
    "gradient_norm",
    "tokens_per_second",
    "eval_loss",
    "eval_accuracy",
)
_DIVERGED = 1.5  # times the first logged loss
Arrays = dict[str, np.ndarray]


@dataclass
class _Progress:
    """The facts of a checkpoint, beside its arrays."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)
    best_step: int = 0
    best_loss: float = math.inf
    evaluations_since_best: int = 0
    resumed_at: list[int] = field(default_factory=list)


def fit(
    model: Any,
    batches: LabelledTexts | Windows,
    training: TrainingConfig,
    *,
    checkpoints: Checkpoints,
    log_folder: str,
    held_out: LabelledTexts | WholeDocuments | None = None,
    to_texts: Callable[[np.ndarray], list[str]] | None = None,
    spread: Any = None,
) -> dict[str, Any]:
    """Trains a model, or resumes its training from the last checkpoint.

    The model ends with averaged weights: the best on `held_out` if `training.evaluate_every`
    is set, else the last.

    Args:
        to_texts: token ids (b, l) to b texts, for the report on a batch at which training
            fails.
        spread: distributes the parts of a batch; see `CompiledTraining.compile`.

    Returns:
        steps, best_step, scan, parameters, tokens, seconds, loss, eval (loss in nats and
        accuracy on `held_out`; None without it), resumed_at (steps), peak_memory (bytes).

    Raises:
        UserError: if loss or gradients are not finite, or the loss diverges; names the step,
            the texts of the batch, and the last good checkpoint.
    """
    weights = batches.class_weights if isinstance(batches, LabelledTexts) else None
    _compile(model, training, weights, spread)
    run = _Run(model, batches, training, checkpoints, held_out, to_texts)
    with TrainingLog(log_folder, _COLUMNS, training.steps, run.progress.rows) as log:
        run.train(log)
    progress = run.progress
    return {
        "steps": progress.step,
        "best_step": progress.best_step or progress.step,
        "scan": model.scan,
        "parameters": model.count_params(),
        "tokens": progress.tokens,
        "seconds": round(progress.seconds, 1),
        "loss": next(row["loss"] for row in reversed(progress.rows) if "loss" in row),
        "eval": evaluate(model, held_out) if held_out is not None else None,
        "resumed_at": progress.resumed_at,
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
    }


def evaluate(model: Any, held_out: LabelledTexts | WholeDocuments) -> dict[str, float]:
    """`loss` (nats) and `accuracy` over all of `held_out`."""
    model.reset_metrics()
    state = None
    for i in range(held_out.batches_per_epoch):
        data = tuple(map(tf.constant, held_out[i]))
        if isinstance(held_out, LabelledTexts):
            result = model.test_step(data)
        else:
            state = state if held_out.goes_on(i) else _initial_state(model, data)
            result, state = model.test_step(data, state)
    result = {name: float(value) for name, value in result.items()}
    model.reset_metrics()
    return result


@dataclass
class _Run:
    """One training, from its start or from its last checkpoint."""

    model: Any
    batches: LabelledTexts | Windows
    training: TrainingConfig
    checkpoints: Checkpoints
    held_out: LabelledTexts | WholeDocuments | None
    to_texts: Callable[[np.ndarray], list[str]] | None
    state: Any = None  # carried from batch to batch
    best: list[np.ndarray] = field(default_factory=list)
    progress: _Progress = field(default_factory=_Progress)

    def __post_init__(self) -> None:
        # Traced once per shape.
        self.step_function = tf.function(self.model.train_step, autograph=False)
        if (found := self.checkpoints.load()) is not None:
            self._restore(*found)

    def train(self, log: TrainingLog) -> None:
        """Takes the remaining steps, then gives the model the best or the averaged weights."""
        progress, training = self.progress, self.training
        log.advance(progress.step)
        started, tokens, norms = time.monotonic() - progress.seconds, progress.tokens, []
        while not self._is_done():
            result = self._step()
            norms.append(float(result["gradient_norm"]))
            self._check_finite(float(result["loss"]), norms[-1])
            log.advance(progress.step)
            ends = progress.step == training.steps
            evaluates, saves = (
                every > 0 and (progress.step % every == 0 or ends)
                for every in (training.evaluate_every, training.checkpoint_every)
            )
            if not (evaluates or saves or progress.step % _LOG_EVERY == 0):
                continue
            seconds = time.monotonic() - started
            row = {
                "step": progress.step,
                "loss": float(result["loss"]),
                "accuracy": float(result["accuracy"]),
                "learning_rate": float(self.model.optimizer.learning_rate),
                "gradient_norm": sum(norms) / len(norms),
                "tokens_per_second": (progress.tokens - tokens)
                / max(1e-9, seconds - progress.seconds),
            }
            self.model.reset_metrics()
            norms = []
            self._check_divergence(row["loss"])
            if evaluates and self.held_out is not None:
                row |= self._evaluate(self.held_out)
            progress.rows.append(row)
            log.write(row)
            tokens, progress.seconds = progress.tokens, time.monotonic() - started
            if saves or self._is_done():
                self._save()
        if self.best:
            for variable, best in zip(self.model.trainable_variables, self.best, strict=True):
                variable.assign(best)
        else:
            self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def _is_done(self) -> bool:
        patience = self.training.patience
        stale = 0 < patience <= self.progress.evaluations_since_best
        return stale or self.progress.step >= self.training.steps

    def _step(self) -> dict[str, Any]:
        batch = self.batches[self.progress.step]
        data = tuple(map(tf.constant, batch))
        if isinstance(self.batches, LabelledTexts):
            result = self.step_function(data)
        else:
            if not self.batches.goes_on(self.progress.step):
                self.state = _initial_state(self.model, data)
            result, self.state = self.step_function(data, self.state)
        self.progress.step += 1
        self.progress.tokens += int(np.count_nonzero(batch[0]))
        return result

    def _evaluate(self, held_out: LabelledTexts | WholeDocuments) -> Row:
        """Evaluates the averaged weights, and keeps them if they are the best so far."""
        with _averaged_weights(self.model):
            result = evaluate(self.model, held_out)
            self.progress.evaluations_since_best += 1
            if result["loss"] < self.progress.best_loss:
                self.best = [np.array(v) for v in self.model.trainable_variables]
                self.progress.best_loss = result["loss"]
                self.progress.best_step = self.progress.step
                self.progress.evaluations_since_best = 0
        return {f"eval_{name}": value for name, value in result.items()}

    def _check_finite(self, loss: float, gradient_norm: float) -> None:
        if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
            self._stop(f"loss {loss:.4g}, gradient norm {gradient_norm:.4g}")

    def _check_divergence(self, loss: float) -> None:
        first = self.progress.rows[0]["loss"] if self.progress.rows else loss
        if loss > _DIVERGED * first:
            self._stop(f"loss {loss:.4g}, which was {first:.4g} at first")

    def _stop(self, what: str) -> None:
        step = self.progress.step - 1
        report = self.checkpoints.folder / f"diverged-{step:08d}.json"
        tokens = self.batches[step][0]
        texts = tokens.tolist() if self.to_texts is None else self.to_texts(tokens)
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps({"step": step, "what": what, "batch": texts}, indent=2))
        raise UserError(
            f"training failed at batch {step} (from 0): {what}. Texts of the batch:"
            f" {report}; last good checkpoint: {self.checkpoints.latest() or 'none'}. A lower"
            " training.learning_rate, a lower training.clip_norm or more training.warmup_steps"
            " may help"
        )

    def _variables(self) -> dict[str, list[Any]]:
        return {
            "weights": self.model.trainable_variables,
            "seeds": self.model.non_trainable_variables,  # dropout seeds, absent from `weights`
            "optimizer": self.model.optimizer.variables,
        }

    def _save(self) -> None:
        parts = {
            **{name: [np.array(v) for v in vs] for name, vs in self._variables().items()},
            "state": [] if self.state is None else [t.numpy() for t in self.state],
            "best": self.best,
        }
        arrays = {
            f"{part}/{i:04d}": array for part, all_ in parts.items() for i, array in enumerate(all_)
        }
        self.checkpoints.save(self.progress.step, arrays, dataclasses.asdict(self.progress))

    def _restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        def part(name: str) -> list[np.ndarray]:
            return [arrays[key] for key in sorted(arrays) if key.startswith(f"{name}/")]

        for name, variables in self._variables().items():
            for variable, array in zip(variables, part(name), strict=True):
                variable.assign(array)
        state = part("state")
        self.state = tuple(map(tf.constant, state)) if state else None
        self.best = part("best")
        self.progress = _Progress(**facts)
        if self.progress.step < self.training.steps:
            self.progress.resumed_at.append(self.progress.step)


def _compile(
    model: Any, training: TrainingConfig, class_weights: Sequence[float] | None, spread: Any
) -> None:
    moves = max(1, training.steps // training.accumulate)
    warmup = min(training.warmup_steps, moves - 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=training.learning_rate,
        warmup_steps=warmup,
        decay_steps=moves - warmup,
        alpha=training.final_learning_rate / training.learning_rate,
    )
    model.compile(
        adamw(
            schedule,
            beta_2=training.beta_2,
            weight_decay=training.weight_decay,
            clip_norm=training.clip_norm,
            average=training.average_momentum,
            accumulate=training.accumulate,
        ),
        scan=scan_choice.available(training.scan),
        label_smoothing=training.label_smoothing,
        class_weights=class_weights,
        spread=spread,
    )


@contextlib.contextmanager
def _averaged_weights(model: Any) -> Iterator[None]:
    """Replaces the weights by their moving averages inside the block."""
    weights = [np.array(v) for v in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, array in zip(model.trainable_variables, weights, strict=True):
            variable.assign(array)


def _initial_state(model: Any, data: tuple[tf.Tensor, ...]) -> Any:
    return model.backbone.initial_state(data[0].shape[0])
