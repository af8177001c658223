"""Trainer: transformed examples to a trained model and its export.

Beside the export, the run's folder gets TensorBoard logs, training.csv (one row each
`_LOG_EVERY` steps) and training.json (what the run's summary says of the training).
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public.tfxio import TensorFlowDatasetOptions
from tqdm import tqdm

from mamba_model import MambaConfig, NextTokenModel, SentimentModel, adamw, native_scan
from pipeline import exporting, features, tokenization
from pipeline.batches import LabelledTexts, Windows
from pipeline.tasks import TASKS

TRAINING_FILE = "training.json"
_LOG_EVERY = 50  # steps


def run_fn(fn_args: Any) -> None:
    """TFX's hook: trains as fn_args.custom_config["config"] says and saves the model."""
    config = json.loads(fn_args.custom_config["config"])
    task = TASKS[config["task"]]
    # Same seed, same bits: of weights, dropout and order.
    keras.utils.set_random_seed(config["seed"])
    tf.config.experimental.enable_op_determinism()

    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    vocabulary = tokenization.read_vocabulary(fn_args.transform_output)
    sizes = MambaConfig.from_dict(config["model"] | {"vocabulary_size": len(vocabulary)})
    training = config["training"]

    def read(files: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray]:
        return _read_examples(fn_args.data_accessor, files, transform_output, task.label)

    train_texts, train_labels = read(fn_args.train_files)
    batches: LabelledTexts | Windows
    if task.head == "sentiment":
        model = SentimentModel(sizes)
        batches = LabelledTexts(train_texts, train_labels, training["buckets"], config["seed"])
        held_out = LabelledTexts(*read(fn_args.eval_files), training["buckets"])
    else:
        model = NextTokenModel(sizes)
        batches = Windows(train_texts, training["batch"], training["window"], config["seed"])
        held_out = None  # Evaluator scores whole chapters; cut windows would say something else

    os.makedirs(fn_args.model_run_dir, exist_ok=True)
    summary = fit(model, batches, training, log_folder=fn_args.model_run_dir)
    if held_out is not None:
        summary["eval"] = evaluate(model, held_out)
    summary["weights_sha256"] = weights_sha256(model)
    with open(os.path.join(fn_args.model_run_dir, TRAINING_FILE), "w") as file:
        json.dump(summary, file, indent=2)
    exporting.save(model, task, transform_output, vocabulary, fn_args.serving_model_dir)


def fit(model: Any, batches: Any, training: dict[str, Any], log_folder: str) -> dict[str, Any]:
    """Trains for `training["steps"]` steps; returns steps, scan, parameters, tokens, seconds,
    loss.

    `batches[i]` is the batch of step i, of few shapes, since XLA compiles each of them.
    """
    steps = training["steps"]
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=training["learning_rate"],
        warmup_steps=training["warmup_steps"],
        decay_steps=max(1, steps - training["warmup_steps"]),
        alpha=training["final_learning_rate"] / training["learning_rate"],
    )
    model.compile(
        adamw(
            schedule,
            beta_2=training["beta_2"],
            weight_decay=training["weight_decay"],
            clip_norm=training["clip_norm"],
            average=training["average_momentum"],
        ),
        scan=_available(training["scan"]),
    )
    tokens = 0
    started = time.monotonic()
    logs = _Logs(log_folder)
    train_step = tf.function(model.train_step, autograph=False)  # traced once a shape
    seconds_between_updates = 1 if sys.stderr.isatty() else 30
    with tqdm(
        total=steps, unit="step", desc="  Trainer", mininterval=seconds_between_updates, leave=False
    ) as bar:
        for step in range(steps):
            batch = batches[step]
            tokens += int(np.count_nonzero(batch[0]))
            result = train_step(tuple(map(tf.constant, batch)))
            bar.update()
            if (step + 1) % _LOG_EVERY == 0 or step + 1 == steps:
                row = {
                    "step": step + 1,
                    **{name: float(value) for name, value in result.items()},
                    "learning_rate": float(schedule(step)),
                    "tokens_per_second": tokens / (time.monotonic() - started),
                }
                logs.write(row)
                bar.set_postfix(
                    loss=f"{row['loss']:.3f}", tokens_per_second=f"{row['tokens_per_second']:,.0f}"
                )
                model.reset_metrics()
    logs.close()
    model.optimizer.finalize_variable_values(model.trainable_variables)  # the averaged ones
    return {
        "steps": steps,
        "scan": model.scan,
        "parameters": model.count_params(),
        "tokens": tokens,
        "seconds": round(time.monotonic() - started, 1),
        "loss": row["loss"],
    }


def _available(scan: str) -> str:
    """The scan asked for, or XLA's where the native one cannot be built."""
    if scan == "native":
        try:
            native_scan.load()
        except native_scan.NativeScanError as error:
            print(f"warning: training with XLA's scan instead: {error}", file=sys.stderr)
            return "xla"
    return scan


def evaluate(model: Any, held_out: LabelledTexts) -> dict[str, float]:
    """Loss (nats) and accuracy over all of `held_out`."""
    model.reset_metrics()
    for i in range(held_out.batches_per_epoch):
        result = model.test_step(held_out[i])
    return {name: float(value) for name, value in result.items()}


def weights_sha256(model: Any) -> str:
    """Hash of all weights, in the order of their paths."""
    digest = hashlib.sha256()
    for variable in sorted(model.trainable_variables, key=lambda v: v.path):
        digest.update(variable.path.encode())
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes())
    return digest.hexdigest()


def _read_examples(
    data_accessor: Any,
    files: Sequence[str],
    transform_output: tft.TFTransformOutput,
    label: str | None,
) -> tuple[list[np.ndarray], np.ndarray]:
    """All token rows of transformed examples, and their labels (empty without a label)."""
    dataset = data_accessor.tf_dataset_factory(
        files,
        TensorFlowDatasetOptions(batch_size=256, num_epochs=1, shuffle=False),
        transform_output.transformed_metadata.schema,
    )
    texts: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for batch in dataset:
        rows = batch[features.TOKENS]
        texts += np.split(rows.flat_values.numpy().astype(np.int32), rows.row_splits[1:-1].numpy())
        if label:
            labels.append(batch[label].numpy())
    return texts, np.concatenate(labels) if labels else np.empty(0)


class _Logs:
    """The training curve, as TensorBoard events and as a CSV file."""

    def __init__(self, folder: str):
        self._events = tf.summary.create_file_writer(os.path.join(folder, "tensorboard"))
        self._file = open(os.path.join(folder, "training.csv"), "w", newline="")  # noqa: SIM115
        self._csv: csv.DictWriter | None = None

    def write(self, row: dict[str, float]) -> None:
        if self._csv is None:
            self._csv = csv.DictWriter(self._file, list(row))
            self._csv.writeheader()
        self._csv.writerow(row)
        self._file.flush()
        with self._events.as_default(step=int(row["step"])):
            for name, value in row.items():
                tf.summary.scalar(name, value)

    def close(self) -> None:
        self._events.close()
        self._file.close()
