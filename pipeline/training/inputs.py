"""What a training starts from: texts as token ids, a model with its first weights, batches."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public.tfxio import TensorFlowDatasetOptions

from data import features
from data.tasks import TASKS, Task
from mamba_model import (
    MambaConfig,
    NextTokenModel,
    SentimentEnsemble,
    SentimentModel,
    load_checkpoint,
    native_scan,
)
from pipeline.training.batches import LabelledTexts, WholeDocuments, Windows
from pipeline.transform import tokenization
from pipeline.transform.vocabulary import read_vocabulary

Model = SentimentModel | SentimentEnsemble | NextTokenModel
Labelled = tuple[list[np.ndarray], np.ndarray]  # token ids of each text, and the labels


@dataclass(frozen=True)
class Inputs:
    """What a training starts from."""

    config: dict[str, Any]
    task: Task
    transform: tft.TFTransformOutput | None  # None: not needed, as an export is not made
    vocabulary: list[str]
    train: Labelled
    held_out: Labelled

    @classmethod
    def read(cls, fn_args: Any) -> Inputs:
        """Reads all that fn_args names, and makes what follows depend on the seed alone."""
        config = json.loads(fn_args.custom_config["config"])
        depend_on_seed(config["seed"])
        for part in {"training", "pretraining"} & set(config):
            config[part]["scan"] = available_scan(config[part]["scan"])
        task = TASKS[config["task"]]
        transform = tft.TFTransformOutput(fn_args.transform_graph_path)
        vocabulary = read_vocabulary(fn_args.transform_graph_path)

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


def depend_on_seed(seed: int) -> None:
    """Lets all that this process draws and computes from now on depend on the seed alone."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def prepare(
    inputs: Inputs, base_model: str | None = None, section: str = "training"
) -> tuple[
    Model,
    LabelledTexts | Windows,
    LabelledTexts | WholeDocuments | None,
]:
    """A model with its first weights, batches to train it on, and to evaluate it on.

    Args:
        base_model: the folder of a pretrained one, which gives the backbone's weights; else
            all of them are drawn by Keras's random seed.
        section: of the configuration; "pretraining" gives a next-token model, whatever the
            task, that is not evaluated.
    """
    training, seed = inputs.config[section], inputs.config["seed"]
    model: Model
    batches: LabelledTexts | Windows
    held_out: LabelledTexts | WholeDocuments | None
    if section == "training" and inputs.task.head == "sentiment":
        members = training["members"]
        model = (
            SentimentModel(inputs.sizes)
            if members == 1
            else SentimentEnsemble(inputs.sizes, members)
        )
        batches = LabelledTexts(*inputs.train, training["buckets"], seed)
        held_out = LabelledTexts(*inputs.held_out, training["buckets"])
    else:
        batches = Windows(inputs.train[0], training["batch"], training["window"], seed)
        if section == "pretraining":
            # A position whose token is dropped has nothing to predict from: its block is
            # gated by 0.
            model = NextTokenModel(dataclasses.replace(inputs.sizes, word_dropout=0.0))
            held_out = None
        else:
            model = NextTokenModel(inputs.sizes)
            held_out = WholeDocuments(inputs.held_out[0], training["batch"], training["window"])
    if base_model:
        start_from(model, base_model)
    return model, batches, held_out


def start_from(model: Model, folder: str) -> None:
    """Gives each backbone of the model the weights of a pretrained one of the same sizes."""
    pretrained = load_checkpoint(folder).backbone.trainable_variables
    for backbone in model.backbones:
        for variable, first in zip(backbone.trainable_variables, pretrained, strict=True):
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
