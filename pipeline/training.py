"""Trainer and Pretrainer: transformed examples to a trained model.

Beside the model, the run's folder gets TensorBoard logs, training.csv (a row each 50 steps)
and training.json (what the run's summary says of the training).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public.tfxio import TensorFlowDatasetOptions

from mamba_model import (
    MambaConfig,
    NextTokenModel,
    SentimentModel,
    load_checkpoint,
    native_scan,
    save_checkpoint,
)
from pipeline import exporting, features, tokenization
from pipeline.batches import LabelledTexts, WholeDocuments, Windows
from pipeline.config import ExportConfig
from pipeline.settings import config_from_dict
from pipeline.tasks import TASKS, Task
from pipeline.training_checkpoints import Checkpoints, prune
from pipeline.training_loop import fit

TRAINING_FILE = "training.json"
_TRAININGS_KEPT = 4  # whose checkpoints stay, of each task


def run_fn(fn_args: Any) -> None:
    """TFX's hook of the Trainer: trains the task's model and saves its export.

    Reads of fn_args.custom_config `config` (JSON of the parts of RunConfig that it needs),
    `export` (JSON of ExportConfig), `code_sha256` and `checkpoints`, the folder of all
    trainings' checkpoints. A model in
    fn_args.base_model gives the backbone's first weights.
    """
    inputs = Inputs.read(fn_args)
    model, batches, held_out = prepare(inputs, fn_args.base_model)
    _train(model, batches, inputs.config["training"], inputs, fn_args, held_out)
    exporting.save(
        model,
        inputs.task,
        inputs.transform,
        inputs.vocabulary,
        config_from_dict(ExportConfig, json.loads(fn_args.custom_config["export"])),
        inputs.held_out[0],
        fn_args.serving_model_dir,
    )


def pretrain_fn(fn_args: Any) -> None:
    """TFX's hook of the Pretrainer: trains a next-token model on the texts of split train.

    Saves it in the published layout (mamba_model/checkpoints.py).
    """
    inputs = Inputs.read(fn_args)
    training = inputs.config["pretraining"]
    # A position whose token is dropped has nothing to predict from: its block is gated by 0.
    model = NextTokenModel(dataclasses.replace(inputs.sizes, word_dropout=0.0))
    batches = Windows(inputs.train[0], training["batch"], training["window"], inputs.config["seed"])
    _train(model, batches, training, inputs, fn_args)
    save_checkpoint(model, fn_args.serving_model_dir)


def prepare(
    inputs: Inputs, base_model: str | None
) -> tuple[
    SentimentModel | NextTokenModel, LabelledTexts | Windows, LabelledTexts | WholeDocuments
]:
    """The task's model with its first weights, batches to train it on, and to evaluate it on.

    `base_model`: the folder of a pretrained one, which gives the backbone's weights; else
    all of them are drawn by Keras's random seed.
    """
    training = inputs.config["training"]
    model: SentimentModel | NextTokenModel
    batches: LabelledTexts | Windows
    held_out: LabelledTexts | WholeDocuments
    if inputs.task.head == "sentiment":
        model = SentimentModel(inputs.sizes)
        batches = LabelledTexts(*inputs.train, training["buckets"], inputs.config["seed"])
        held_out = LabelledTexts(*inputs.held_out, training["buckets"])
    else:
        model = NextTokenModel(inputs.sizes)
        batches = Windows(
            inputs.train[0], training["batch"], training["window"], inputs.config["seed"]
        )
        held_out = WholeDocuments(inputs.held_out[0], training["batch"], training["window"])
    if base_model:
        start_from(model, base_model)
    return model, batches, held_out


def weights_sha256(model: Any) -> dict[str, str]:
    """The hash of each of the trained variables, by its path in the model."""

    def path(variable: Any) -> str:
        return variable.path.split("/", 1)[1]  # without the model's name, which counts models

    return {
        path(variable): hashlib.sha256(
            np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes()
        ).hexdigest()
        for variable in sorted(model.trainable_variables, key=path)
    }


Labelled = tuple[list[np.ndarray], np.ndarray]  # token ids of each text, and the labels


@dataclass(frozen=True)
class Inputs:
    """What a training starts from."""

    config: dict[str, Any]
    task: Task
    transform: tft.TFTransformOutput
    vocabulary: list[str]
    train: Labelled
    held_out: Labelled

    @classmethod
    def read(cls, fn_args: Any) -> Inputs:
        """Reads all that fn_args names, and makes what follows depend on the seed alone."""
        config = json.loads(fn_args.custom_config["config"])
        keras.utils.set_random_seed(config["seed"])
        tf.config.experimental.enable_op_determinism()
        for part in {"training", "pretraining"} & set(config):
            config[part]["scan"] = available_scan(config[part]["scan"])
        task = TASKS[config["task"]]
        transform = tft.TFTransformOutput(fn_args.transform_graph_path)
        vocabulary = tokenization.read_vocabulary(fn_args.transform_graph_path)

        def read(files: Sequence[str]) -> Labelled:
            return _read_examples(fn_args.data_accessor, files, transform, task.label)

        return cls(
            config=config,
            task=task,
            transform=transform,
            vocabulary=vocabulary,
            train=read(fn_args.train_files),
            held_out=read(fn_args.eval_files),
        )

    @property
    def sizes(self) -> MambaConfig:
        return MambaConfig.from_dict(
            self.config["model"] | {"vocabulary_size": len(self.vocabulary)}
        )

    def sha256(self) -> str:
        """A hash of all that is here."""
        digest = hashlib.sha256(json.dumps([self.config, self.vocabulary]).encode())
        for texts, labels in (self.train, self.held_out):
            for array in (*texts, labels):
                digest.update(len(array).to_bytes(8, "little") + array.tobytes())
        return digest.hexdigest()

    def to_texts(self, tokens: np.ndarray) -> list[str]:
        texts = tokenization.decode(tf.constant(tokens), self.vocabulary).numpy()
        return [text.decode("utf-8", "replace") for text in texts]


def _train(
    model: Any,
    batches: LabelledTexts | Windows,
    training: dict[str, Any],
    inputs: Inputs,
    fn_args: Any,
    held_out: LabelledTexts | WholeDocuments | None = None,
) -> None:
    """Trains `model` with checkpoints of its own, and writes training.json."""
    first_weights = weights_sha256(model)
    whole = [inputs.sha256(), fn_args.custom_config["code_sha256"], training, first_weights]
    key = hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]
    root = Path(fn_args.custom_config["checkpoints"])
    summary = fit(
        model,
        batches,
        training,
        checkpoints=Checkpoints(root / key),
        log_folder=fn_args.model_run_dir,
        held_out=held_out,
        to_texts=inputs.to_texts,
    )
    prune(root, _TRAININGS_KEPT)
    summary["variables_sha256"] = weights_sha256(model)
    summary["weights_sha256"] = hashlib.sha256(
        json.dumps(summary["variables_sha256"]).encode()
    ).hexdigest()
    with open(os.path.join(fn_args.model_run_dir, TRAINING_FILE), "w") as file:
        json.dump(summary, file, indent=2)


def start_from(model: SentimentModel | NextTokenModel, folder: str) -> None:
    """Gives the backbone the weights of a pretrained one of the same sizes."""
    pretrained = load_checkpoint(folder).backbone.trainable_variables
    for variable, first in zip(model.backbone.trainable_variables, pretrained, strict=True):
        variable.assign(first)


def available_scan(scan: str) -> str:
    """The scan asked for, or XLA's where the native one cannot be built."""
    if scan == "native":
        try:
            native_scan.load()
        except native_scan.NativeScanError as error:
            print(f"warning: training with XLA's scan instead: {error}", file=sys.stderr)
            return "xla"
    return scan


def _read_examples(
    data_accessor: Any, files: Sequence[str], transform: tft.TFTransformOutput, label: str | None
) -> Labelled:
    """All token rows of transformed examples, and their labels (empty without a label).

    In an order of their own: Beam's depends on the number of its workers.
    """
    dataset = data_accessor.tf_dataset_factory(
        files,
        TensorFlowDatasetOptions(batch_size=256, num_epochs=1, shuffle=False),
        transform.transformed_metadata.schema,
    )
    texts: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for batch in dataset:
        rows = batch[features.TOKENS]
        texts += np.split(rows.flat_values.numpy().astype(np.int32), rows.row_splits[1:-1].numpy())
        if label:
            labels.append(batch[label].numpy())
    of_text = np.concatenate(labels) if labels else np.zeros(len(texts))
    order = sorted(range(len(texts)), key=lambda i: (texts[i].tobytes(), of_text[i]))
    return [texts[i] for i in order], of_text[order] if label else np.empty(0)
