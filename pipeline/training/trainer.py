"""Trainer and Pretrainer: transformed examples to a trained model.

Beside the model, they write TensorBoard logs, training.csv (one row per 50 steps) and
training.json (the training's part of the run's summary).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from mamba_model import save_checkpoint
from pipeline.config import ExportConfig
from pipeline.export import saved_model as exporting
from pipeline.places import TRAINING_FILE
from pipeline.training import joint as joint_training
from pipeline.training.checkpoints import Checkpoints, prune
from pipeline.training.inputs import Inputs, prepare
from pipeline.training.loop import fit
from pipeline.training.workers import Workers

_TRAININGS_KEPT = 4  # per task, whose checkpoints stay


def run_fn(fn_args: Any) -> None:
    """TFX's hook of the Trainer: trains the task's model and saves its export.

    Reads of fn_args.custom_config `config` (see Inputs.read), `export` (JSON of ExportConfig),
    `code_sha256` (of this training code) and `checkpoints` (folder of the checkpoints of all
    trainings). The backbone starts from the model in fn_args.base_model, if there is one.
    """
    inputs = Inputs.read(fn_args)
    model = _train(inputs, fn_args)
    exporting.save(
        model,
        inputs.task,
        inputs.transform,
        inputs.vocabulary,
        pydantic.TypeAdapter(ExportConfig).validate_json(fn_args.custom_config["export"]),
        inputs.held_out[0],
        fn_args.serving_model_dir,
    )


def pretrain_fn(fn_args: Any) -> None:
    """TFX's hook of the Pretrainer: trains a next-token model on the texts of split train.

    Saves it in the published layout; see mamba_model/checkpoints.py.
    """
    model = _train(Inputs.read(fn_args, pretraining=True), fn_args)
    save_checkpoint(model, fn_args.serving_model_dir)


def weights_sha256(model: Any) -> dict[str, str]:
    """The hash of each trainable variable, by its path in the model."""

    def path(variable: Any) -> str:
        return variable.path.split("/", 1)[1]  # without the model's name, which Keras numbers

    return {
        path(variable): hashlib.sha256(np.array(variable).tobytes()).hexdigest()
        for variable in sorted(model.trainable_variables, key=path)
    }


def _train(inputs: Inputs, fn_args: Any) -> Any:
    """Trains and returns the model; writes training.json.

    The other workers of $TF_CONFIG take part, if there are any; the result has the same bits
    on any number of workers.
    """
    model, batches, held_out = prepare(inputs, fn_args.base_model)
    code_sha256 = fn_args.custom_config["code_sha256"]
    # The key covers all that determines the result, so checkpoints of other trainings never match.
    whole = [inputs.sha256(), code_sha256, weights_sha256(model)]
    key = hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]
    root = Path(fn_args.custom_config["checkpoints"])
    checkpoints, log_folder = Checkpoints(root / key), fn_args.model_run_dir
    if (workers := Workers.from_environment()) is not None:
        summary = joint_training.lead(
            workers,
            inputs,
            model,
            checkpoints=checkpoints,
            log_folder=log_folder,
            code_sha256=code_sha256,
        )
    else:
        summary = fit(
            model,
            batches,
            inputs.training,
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
