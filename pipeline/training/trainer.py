"""Trainer and Pretrainer: transformed examples to a trained model.

Beside the model, the run's folder gets TensorBoard logs, training.csv (a row each 50 steps)
and training.json (what the run's summary says of the training).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mamba_model import save_checkpoint
from pipeline.config import ExportConfig
from pipeline.export import saved_model as exporting
from pipeline.places import TRAINING_FILE
from pipeline.settings import config_from_dict
from pipeline.training import joint as joint_training
from pipeline.training.checkpoints import Checkpoints, prune
from pipeline.training.inputs import Inputs, prepare
from pipeline.training.loop import fit
from pipeline.training.workers import Cluster

_TRAININGS_KEPT = 4  # whose checkpoints stay, of each task


def run_fn(fn_args: Any) -> None:
    """TFX's hook of the Trainer: trains the task's model and saves its export.

    Reads of fn_args.custom_config `config` (JSON of the parts of RunConfig that it needs),
    `export` (JSON of ExportConfig), `code_sha256` and `checkpoints`, the folder of all
    trainings' checkpoints. A model in
    fn_args.base_model gives the backbone's first weights.
    """
    inputs = Inputs.read(fn_args)
    model = _train(inputs, "training", fn_args)
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
    model = _train(Inputs.read(fn_args), "pretraining", fn_args)
    save_checkpoint(model, fn_args.serving_model_dir)


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


def _train(inputs: Inputs, section: str, fn_args: Any) -> Any:
    """Trains as a section of the configuration says, with checkpoints of its own.

    Returns the model; writes training.json. The other workers of $TF_CONFIG, if there are any,
    take part; no bit of the result depends on how many they are.
    """
    model, batches, held_out = prepare(inputs, fn_args.base_model, section)
    training = inputs.config[section]
    first_weights = weights_sha256(model)
    whole = [inputs.sha256(), fn_args.custom_config["code_sha256"], training, first_weights]
    key = hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]
    root = Path(fn_args.custom_config["checkpoints"])
    checkpoints, log_folder = Checkpoints(root / key), fn_args.model_run_dir
    if (cluster := Cluster.from_environment()) is not None:
        summary = joint_training.lead(cluster, inputs, section, model, checkpoints, log_folder)
    else:
        summary = fit(
            model,
            batches,
            training,
            checkpoints=checkpoints,
            log_folder=log_folder,
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
    return model
