import csv
import dataclasses
import json
import multiprocessing
import operator
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from keras_tuner.errors import FatalError
from tensorflow.python.framework.config import disable_op_determinism

from data.bible import reader as bible_reader
from data.errors import UserError
from pipeline.presets import preset
from pipeline.settings import with_settings
from pipeline.training import inputs as training_inputs
from pipeline.tuning import search_space
from pipeline.tuning import tuner as tuning
from pipeline.tuning.search_space import Between, OneOf, ranges, what_determines
from pipeline.tuning.trials import Search, Trial, as_table

# The search space


@pytest.mark.parametrize("name", ["quick", "full", "best", "smoke"])
@pytest.mark.parametrize("task", ["bible", "imdb"])
def test_all_ranges_end_in_settings_that_a_run_takes(task, name):
    config = preset(task, name)
    for each in ranges(config):
        own = operator.attrgetter(each.name)
        ends = each.values if isinstance(each, OneOf) else (each.low, each.high)
        assert min(ends) <= own(config) <= max(ends)
        for end in ends:
            assert own(with_settings(config, [f"{each.name}={end!r}"])) == end


def test_a_range_is_widened_to_hold_the_value_that_the_configuration_has():
    settings = ["training.learning_rate=0.02", "training.average_momentum=0.9995"]
    by_name = {each.name: each for each in ranges(with_settings(preset("imdb", "quick"), settings))}
    assert by_name["training.learning_rate"].high == 0.02
    assert by_name["training.average_momentum"].values[-1] == 0.9995
    assert by_name["model.word_dropout"] in search_space.RANGES["classification"]


def test_what_is_fixed_does_not_vary():
    config = preset("bible", "quick")
    names = [each.name for each in ranges(config)]
    assert [each.name for each in ranges(config, names[:2])] == names[2:]
    with pytest.raises(UserError, match=r"leave at least one free of training\.learning_rate, "):
        ranges(config, names)


def test_what_a_pretraining_depends_on_does_not_vary_where_there_is_one():
    with_one = with_settings(preset("imdb", "quick"), ["pretraining.steps=9"])
    gone = {each.name for each in ranges(preset("imdb", "quick"))} - {
        each.name for each in ranges(with_one)
    }
    assert gone == {"model.word_dropout", "model.residual_dropout"}


def test_a_zero_has_no_logarithm():
    config = with_settings(preset("imdb", "quick"), ["training.weight_decay=0"])
    with pytest.raises(UserError, match=r"training\.weight_decay: expected more than 0, .* got 0"):
        ranges(config)


def test_a_search_belongs_to_all_that_determines_its_trials(tmp_path):
    config, source = (
        preset("bible", "smoke"),
        bible_reader.open_source(None, preset("bible", "smoke").reading),
    )
    every = ranges(config)

    def folder(config, every, code="c0de"):
        return Search.below(
            tmp_path, what_determines(config, source, every, {"Tuner": code})
        ).folder

    changed = [
        (with_settings(config, ["seed=2"]), every),
        (with_settings(config, ["training.steps=7"]), every),
        (with_settings(config, ["data.fraction=0.2"]), every),
        (config, every[1:]),
        (config, every, "c0de of another version"),
    ]
    folders = {folder(*each) for each in [(config, every), *changed]}
    assert len(folders) == 6
    blessing = with_settings(config, ["evaluation.max_bits_per_char=1"])
    assert folder(blessing, every) == folder(config, every) in folders


# The records

SETTINGS = {"training.learning_rate": 0.00123, "model.word_dropout": 0.0}
TRIALS = [
    Trial(0, SETTINGS, loss=2.5, accuracy=0.4, steps=9, seconds=3.21),
    Trial(1, SETTINGS | {"model.word_dropout": 0.1}, error="training failed at batch 3"),
    Trial(2, SETTINGS | {"model.word_dropout": 0.2}, loss=2.25, accuracy=0.5, steps=9, seconds=3.0),
]


@pytest.fixture
def search(tmp_path):
    search = Search(tmp_path / "search")
    for trial in TRIALS[::-1]:
        search.keep(trial)
    return search


def test_the_table_has_a_row_of_each_trial_in_their_order(search):
    rows = list(csv.DictReader(search.table.open()))
    assert [list(row.values()) for row in rows] == [
        ["0", "0.00123", "0.0", "2.5", "0.4", "9", "3.21", "completed", ""],
        ["1", "0.00123", "0.1", "", "", "", "", "failed", "training failed at batch 3"],
        ["2", "0.00123", "0.2", "2.25", "0.5", "9", "3.0", "completed", ""],
    ]
    assert list(rows[0])[:4] == ["trial", "training.learning_rate", "model.word_dropout", "loss"]


def test_the_printed_table_begins_with_the_best_and_ends_with_what_broke_down():
    assert as_table(TRIALS).splitlines() == [
        "  trial    loss    accuracy    seconds    learning_rate    word_dropout",
        "      2  2.2500      0.5000          3          0.00123             0.2",
        "      0  2.5000      0.4000          3          0.00123               0",
        "      1  failed      failed     failed          0.00123             0.1",
    ]


def test_the_arguments_of_a_trial_give_a_run_its_settings():
    arguments = TRIALS[2].arguments.replace("--set ", "").split()
    config = with_settings(preset("imdb", "quick"), arguments)
    assert (config.training.learning_rate, config.model.word_dropout) == (0.00123, 0.2)


def test_a_result_is_found_by_its_settings(search):
    assert search.result(dict(TRIALS[2].settings)) == TRIALS[2]
    assert search.result(SETTINGS | {"model.word_dropout": 0.3}) is None
    assert search.trials() == TRIALS


def test_a_damaged_result_is_noticed_and_left_out(search, capsys):
    path = search.trial_folder(SETTINGS) / "result.json"
    path.write_text(path.read_text()[:-30])
    assert search.result(SETTINGS) is None
    assert f"warning: {path}: damaged; the trial runs again" in capsys.readouterr().err
    assert search.trials() == TRIALS[1:]
    search.keep(TRIALS[0])
    assert search.trials() == TRIALS


# The search

RANGES = [
    dataclasses.asdict(each)
    for each in (
        Between("training.learning_rate", 1e-3, 1e-2, log=True),
        OneOf("training.average_momentum", (0.5, 0.75)),
        Between("model.residual_dropout", 0.0, 0.3),
    )
]


@pytest.fixture
def inputs(genesis):
    """Inputs of a small model on short texts."""
    settings = [
        "model.d_model=8", "model.d_state=2", "training.steps=6", "training.window=16",
        "training.batch=4", "training.warmup_steps=1", "training.checkpoint_every=2",
        "training.average_momentum=0.5",
    ]  # fmt: skip
    config = with_settings(preset("bible", "smoke"), settings)
    tf.config.experimental.enable_op_determinism()
    yield training_inputs.Inputs(
        task=config.task,
        seed=config.seed,
        model=dataclasses.replace(config.model, vocabulary_size=80),
        training=config.training,
        pretraining=False,
        vocabulary=[chr(ord("!") + i) for i in range(80)],
        train=([genesis[:400], genesis[400:600]], np.empty(0)),
        held_out=([genesis[700:720], genesis[800:850]], np.empty(0)),
    )
    disable_op_determinism()


def run_search(inputs, folder, trials, train=tuning.train):
    search = Search(folder)
    tuning.Tuner(inputs, RANGES, trials=trials, search=search, train=train).search()
    return search


def without_seconds(trials):
    return [dataclasses.replace(trial, seconds=None) for trial in trials]


class Killed(BaseException):
    """KerasTuner does not catch it."""


class KilledAt:
    def __init__(self, batches, step):
        self.batches, self.step, self.goes_on = batches, step, batches.goes_on

    def __getitem__(self, index):
        if index == self.step:
            raise Killed
        return self.batches[index]


@pytest.fixture
def trained(monkeypatch):
    """Learning rates of the started trainings; `trained.kill_at` kills the next at that step."""

    class Trained(list):
        kill_at = None

    trained, prepare = Trained(), training_inputs.prepare

    def noted(inputs, base_model):
        trained.append(inputs.training.learning_rate)
        model, batches, held_out = prepare(inputs, base_model)
        if trained.kill_at is not None:
            batches = KilledAt(batches, trained.kill_at)
        return model, batches, held_out

    monkeypatch.setattr(training_inputs, "prepare", noted)
    return trained


@pytest.mark.slow
def test_killed_and_asked_for_more_it_ends_with_the_trials_of_one_search(
    inputs, tmp_path, trained, monkeypatch
):
    monkeypatch.setattr(tuning, "_RANDOM_TRIALS", 1)  # the others are fitted
    whole = run_search(inputs, tmp_path / "whole", trials=3).trials()
    assert [trial.number for trial in whole] == [0, 1, 2]
    assert whole[0].settings == {
        each["name"]: operator.attrgetter(each["name"])(inputs) for each in RANGES
    }
    assert len({json.dumps(trial.settings) for trial in whole}) == 3
    assert all(trial.loss < 5 and trial.steps == 6 for trial in whole)

    trained.clear()
    folder = tmp_path / "killed"
    assert without_seconds(run_search(inputs, folder, trials=2).trials()) == (
        without_seconds(whole[:2])
    )
    trained.kill_at = 5
    with pytest.raises(Killed):
        run_search(inputs, folder, trials=3)
    assert len(list(folder.glob("trials/*/checkpoints/*.safetensors"))) == 2
    trained.kill_at = None
    search = run_search(inputs, folder, trials=3)
    assert without_seconds(search.trials()) == without_seconds(whole)
    rates = [trial.settings["training.learning_rate"] for trial in whole]
    assert trained == [*rates, rates[2]]
    assert not list(folder.glob("trials/*/checkpoints"))  # of trials that have ended
    run_search(inputs, folder, trials=3)
    assert len(trained) == 4


@pytest.mark.slow
def test_settings_over_which_training_breaks_down_are_a_result_too(inputs, tmp_path, trained):
    training = dataclasses.replace(inputs.training, learning_rate=3.0, steps=60, checkpoint_every=1)
    inputs = dataclasses.replace(inputs, training=training)
    with pytest.raises(UserError, match=r"trials\.csv: all 1 trials failed"):
        run_search(inputs, tmp_path, trials=1)
    search = run_search(inputs, tmp_path, trials=2)
    first, second = search.trials()
    assert (first.status, second.status) == ("failed", "completed")
    assert first.error.startswith("training failed at batch")
    assert len(trained) == 2


def test_an_error_that_is_not_of_the_settings_stops_the_search(inputs, tmp_path, genesis):
    short = dataclasses.replace(inputs, train=([genesis[:40]], np.empty(0)))
    with pytest.raises(FatalError, match="ValueError: training text: expected at least 68 tokens"):
        run_search(short, tmp_path, trials=2)
    assert Search(tmp_path).trials() == []


def test_a_trial_whose_process_ends_stops_the_search_and_says_what_to_do(inputs, tmp_path):
    def killed_for_want_of_memory(*_):
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as process:
            process.submit(os.abort).result()

    with pytest.raises(UserError, match=r"trial 0: its process was killed.*same command resumes"):
        run_search(inputs, tmp_path, trials=2, train=killed_for_want_of_memory)
