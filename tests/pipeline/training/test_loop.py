import csv
import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from data.errors import UserError
from mamba_model import MambaConfig, NextTokenModel, TextClassifier, adamw
from pipeline.config import TrainingConfig
from pipeline.training.batches import LabelledTexts, WholeDocuments, Windows
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import evaluate, fit
from pipeline.training.trainer import weights_sha256

SETTINGS = TrainingConfig(
    steps=12, warmup_steps=2, checkpoint_every=4, evaluate_every=4, average_momentum=0.5
)


@pytest.fixture(autouse=True)
def deterministic():
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()


def windows_of(genesis):
    """Nine batches: twelve steps go from one epoch to the next."""
    return Windows([genesis[:400], genesis[400:600]], batch=4, window=16, seed=1)


def held_out_of(genesis):
    return WholeDocuments([genesis[700:720], genesis[800:850]], batch=2, window=16)


windows = pytest.fixture(windows_of, name="windows")
held_out = pytest.fixture(held_out_of, name="held_out")


def model():
    keras.utils.set_random_seed(1)
    return NextTokenModel(
        MambaConfig(vocabulary_size=80, d_model=8, n_layer=1, d_state=2, residual_dropout=0.2)
    )


def train(windows, held_out, folder, log_folder="log", **changes):
    trained = model()
    summary = fit(
        trained,
        windows,
        dataclasses.replace(SETTINGS, **changes),
        checkpoints=Checkpoints(folder),
        log_folder=str(folder / log_folder),
        held_out=held_out,
    )
    return summary, weights_sha256(trained)


class Killed(Exception):
    pass


class KilledAt:
    """Windows that kill the training when it asks for the batch of `step`."""

    def __init__(self, windows, step):
        self.windows, self.step = windows, step
        self.goes_on = windows.goes_on

    def __getitem__(self, index):
        if index == self.step:
            raise Killed
        return self.windows[index]


@pytest.fixture(scope="module")
def not_killed(genesis, tmp_path_factory):
    tf.config.experimental.enable_op_determinism()
    folder = tmp_path_factory.mktemp("whole")
    return folder, *train(windows_of(genesis), held_out_of(genesis), folder)


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, 7, 9])
def test_killed_at_any_step_it_ends_with_the_same_bits(
    not_killed, windows, held_out, tmp_path, step
):
    folder, whole, weights = not_killed
    with pytest.raises(Killed):
        train(KilledAt(windows, step), held_out, tmp_path / "killed")
    summary, again = train(windows, held_out, tmp_path / "killed", "log2")
    assert again == weights
    assert summary["resumed_at"] == ([step // 4 * 4] if step >= 4 else [])
    for key in ("steps", "best_step", "tokens", "loss", "eval"):
        assert summary[key] == whole[key], key
    columns = ("step", "loss", "accuracy", "learning_rate", "gradient_norm", "eval_loss")
    rows = [
        [
            {name: row[name] for name in columns}
            for row in csv.DictReader((log / "training.csv").open())
        ]
        for log in (folder / "log", tmp_path / "killed" / "log2")
    ]
    assert rows[0] == rows[1]
    assert [row["step"] for row in rows[0]] == ["4", "8", "12"]


@pytest.mark.slow
def test_the_best_weights_are_kept_and_patience_ends_the_training(windows, held_out, tmp_path):
    # At this rate every step after the first evaluation makes the model worse.
    trained = model()
    settings = dataclasses.replace(
        SETTINGS, steps=100, evaluate_every=1, patience=3, warmup_steps=1, learning_rate=0.5
    )
    summary = fit(
        trained,
        windows,
        settings,
        checkpoints=Checkpoints(tmp_path),
        log_folder=str(tmp_path),
        held_out=held_out,
    )
    assert summary["steps"] == summary["best_step"] + 3 < 100
    rows = list(csv.DictReader((tmp_path / "training.csv").open()))
    losses = [float(row["eval_loss"]) for row in rows]
    assert min(losses) == losses[summary["best_step"] - 1] == summary["eval"]["loss"]
    assert evaluate(trained, held_out) == summary["eval"]


@pytest.mark.slow
def test_not_a_number_stops_it_and_names_step_texts_and_checkpoint(windows, tmp_path, genesis):
    summary, _ = train(windows, None, tmp_path, steps=6, checkpoint_every=2)
    assert summary["steps"] == 6
    checkpoints = Checkpoints(tmp_path)
    arrays, facts = checkpoints.load()
    arrays["weights/0000"] = np.full_like(arrays["weights/0000"], np.nan)
    checkpoints.save(7, arrays, facts | {"step": 7})
    with pytest.raises(UserError, match=r"failed at batch 7 \(from 0\): loss nan") as error:
        train(windows, None, tmp_path, steps=9)
    report = tmp_path / "diverged-00000007.json"
    assert str(report) in str(error.value) and ".safetensors" in str(error.value)
    assert json.loads(report.read_text())["batch"] == windows[7][0].tolist()


@pytest.mark.slow
def test_a_loss_that_grows_beyond_its_start_stops_it(windows, tmp_path):
    with pytest.raises(UserError, match=r"loss .* at first.*A lower training.learning_rate"):
        train(windows, None, tmp_path, steps=40, learning_rate=1.0, checkpoint_every=1)


def test_documents_evaluated_in_windows_score_as_in_one_piece(genesis):
    documents = [genesis[:40], genesis[100:115], genesis[200:230]]
    trained = model()
    trained.compile(adamw(1e-3))
    in_windows = evaluate(trained, WholeDocuments(documents, batch=2, window=8))
    in_one = evaluate(trained, WholeDocuments(documents, batch=3, window=64))
    assert in_windows["loss"] == pytest.approx(in_one["loss"], rel=1e-5)
    assert in_windows["accuracy"] == pytest.approx(in_one["accuracy"])


@pytest.mark.slow
def test_labelled_texts_train_by_the_same_loop(genesis, tmp_path):
    texts = [genesis[i : i + 20] for i in range(0, 400, 20)]
    labels = np.array([text[0] % 3 for text in texts])
    assert set(labels) == {0, 1, 2}
    keras.utils.set_random_seed(1)
    config = MambaConfig(vocabulary_size=80, d_model=8, n_layer=1, d_state=2)
    classifier = TextClassifier(config, classes=3)
    settings = dataclasses.replace(SETTINGS, steps=60, evaluate_every=25, label_smoothing=0.1)
    summary = fit(
        classifier,
        LabelledTexts(texts, labels, ((20, 10),), seed=1, class_weights=[0.5, 1.5, 1.0]),
        settings,
        checkpoints=Checkpoints(tmp_path),
        log_folder=str(tmp_path),
        held_out=LabelledTexts(texts, labels, ((20, 10),)),
    )
    assert summary["steps"] == 60 and summary["tokens"] == 60 * 200
    assert classifier.class_weights == [0.5, 1.5, 1.0]
    assert summary["eval"]["loss"] < 1.09  # log(3)
    rows = csv.DictReader((tmp_path / "training.csv").open())
    assert [int(row["step"]) for row in rows if row["eval_loss"]] == [25, 50, 60]
