"""Inputs of a training: texts as token ids, the model with its first weights, batches."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pydantic
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public.tfxio import TensorFlowDatasetOptions

from data import features
from data.tasks import Task
from mamba_model import (
    MambaConfig,
    NextTokenModel,
    TextClassifier,
    TextClassifierEnsemble,
    load_checkpoint,
)
from pipeline.config import TrainingConfig
from pipeline.training import scan_choice
from pipeline.training.batches import LabelledTexts, WholeDocuments, Windows
from pipeline.training.class_weights import class_weights
from pipeline.transform import tokenization
from pipeline.transform.vocabulary import read_vocabulary

Model = TextClassifier | TextClassifierEnsemble | NextTokenModel
Labelled = tuple[list[np.ndarray], np.ndarray]  # token ids of each text, and the labels


@dataclass(frozen=True)
class Inputs:
    """Inputs of a training: its configuration, the vocabulary, and both splits."""

    task: Task
    seed: int
    model: MambaConfig
    training: TrainingConfig
    pretraining: bool  # train a next-token model, whatever the task, and do not evaluate it
    vocabulary: list[str]
    train: Labelled
    held_out: Labelled
    transform: tft.TFTransformOutput | None = None  # for the export; None: no export is made

    @classmethod
    def read(cls, fn_args: Any, pretraining: bool = False) -> Inputs:
        """Reads the files that fn_args names, and seeds this process.

        Reads of fn_args.custom_config `config`: JSON of `task` (Task), `seed`, `model`
        (MambaConfig) and `training` (TrainingConfig).
        """
        facts = json.loads(fn_args.custom_config["config"])
        depend_on_seed(facts["seed"])
        facts["training"]["scan"] = scan_choice.available(facts["training"]["scan"])
        labelled = facts["task"]["kind"] == "classification"
        transform = tft.TFTransformOutput(fn_args.transform_graph_path)
        vocabulary = read_vocabulary(fn_args.transform_graph_path)

        def read(files: Sequence[str]) -> Labelled:
            return _read_examples(fn_args.data_accessor, files, transform, labelled)

        return cls.from_facts(
            facts | {"vocabulary": vocabulary, "pretraining": pretraining},
            train=read(fn_args.train_files),
            held_out=read(fn_args.eval_files),
            transform=transform,
        )

    @classmethod
    def from_facts(
        cls,
        facts: Mapping[str, Any],
        train: Labelled,
        held_out: Labelled,
        transform: tft.TFTransformOutput | None = None,
    ) -> Inputs:
        """The inverse of `facts`, with the vocabulary's size as the model's."""
        vocabulary = facts["vocabulary"]
        return cls(
            task=pydantic.TypeAdapter(Task).validate_python(facts["task"]),
            seed=facts["seed"],
            model=MambaConfig.from_dict(facts["model"] | {"vocabulary_size": len(vocabulary)}),
            training=pydantic.TypeAdapter(TrainingConfig).validate_python(facts["training"]),
            pretraining=facts["pretraining"],
            vocabulary=vocabulary,
            train=train,
            held_out=held_out,
            transform=transform,
        )

    def facts(self) -> dict[str, Any]:
        """All but the texts and the transform graph, as JSON values."""
        return {
            "task": dataclasses.asdict(self.task),
            "seed": self.seed,
            "model": self.model.to_dict(),
            "training": dataclasses.asdict(self.training),
            "pretraining": self.pretraining,
            "vocabulary": self.vocabulary,
        }

    def sha256(self) -> str:
        """A hash of all inputs except the transform graph, which training does not read."""
        digest = hashlib.sha256(json.dumps(self.facts()).encode())
        for texts, labels in (self.train, self.held_out):
            for array in (*texts, labels):
                digest.update(len(array).to_bytes(8, "little") + array.tobytes())
        return digest.hexdigest()

    def to_texts(self, tokens: np.ndarray) -> list[str]:
        texts = tokenization.decode(tf.constant(tokens), self.vocabulary).numpy()
        return [text.decode("utf-8", "replace") for text in texts]


def depend_on_seed(seed: int) -> None:
    """Makes all random numbers and computations of this process depend on the seed alone."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def prepare(
    inputs: Inputs, base_model: str | None = None
) -> tuple[Model, LabelledTexts | Windows, LabelledTexts | WholeDocuments | None]:
    """The model with its first weights, its training batches, and its evaluation batches.

    Args:
        base_model: the folder of a pretrained model, whose backbone's weights the model
            starts from; None: Keras's random seed determines all first weights.

    Raises:
        UserError: if `training.class_weights` does not fit the classes and their texts.
    """
    training = inputs.training
    model: Model
    batches: LabelledTexts | Windows
    held_out: LabelledTexts | WholeDocuments | None
    if inputs.task.kind == "classification" and not inputs.pretraining:
        classes = inputs.task.classes
        model = (
            TextClassifier(inputs.model, len(classes))
            if training.members == 1
            else TextClassifierEnsemble(inputs.model, len(classes), training.members)
        )
        weights = class_weights(training.class_weights, classes, inputs.train[1])
        batches = LabelledTexts(*inputs.train, training.buckets, inputs.seed, weights)
        held_out = LabelledTexts(*inputs.held_out, training.buckets)
    else:
        batches = Windows(inputs.train[0], training.batch, training.window, inputs.seed)
        if inputs.pretraining:
            # A position whose token is dropped has nothing to predict from: its block is
            # gated by 0.
            model = NextTokenModel(dataclasses.replace(inputs.model, word_dropout=0.0))
            held_out = None
        else:
            model = NextTokenModel(inputs.model)
            held_out = WholeDocuments(inputs.held_out[0], training.batch, training.window)
    if base_model:
        start_from(model, base_model)
    return model, batches, held_out


def start_from(model: Model, folder: str) -> None:
    """Copies the weights of a pretrained backbone of the same sizes to each of the model's."""
    pretrained = load_checkpoint(folder).backbone.trainable_variables
    for backbone in model.backbones:
        for variable, first in zip(backbone.trainable_variables, pretrained, strict=True):
            variable.assign(first)


def _read_examples(
    data_accessor: Any, files: Sequence[str], transform: tft.TFTransformOutput, labelled: bool
) -> Labelled:
    """All token rows of transformed examples, and their labels; none if not `labelled`.

    Sorted, as the order of the files depends on the number of Beam's workers.
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
        if labelled:
            labels.append(batch[features.LABEL].numpy())
    of_text = np.concatenate(labels) if labels else np.zeros(len(texts))
    order = sorted(range(len(texts)), key=lambda i: (texts[i].tobytes(), of_text[i]))
    return [texts[i] for i in order], of_text[order] if labelled else np.empty(0)
