import dataclasses
import json

import pytest

from data.errors import UserError
from pipeline.presets import preset
from pipeline.settings import config_from_dict, with_settings


def test_settings_replace_single_fields_in_order():
    config = with_settings(
        preset("imdb", "quick"),
        ["model.d_model=256", "seed=3", "training.buckets=64x8,128x4", "data.gate=report",
         "transform.head=28", "transform.tail=100", "model.dt_rank=7", "seed=4",
         "training.learning_rate=1e-4", "model.bidirectional=true", "training.scan=native"],
    )  # fmt: skip
    assert config.model.d_model == 256
    assert config.model.dt_rank == 7
    assert config.seed == 4
    assert config.training.buckets == ((64, 8), (128, 4))
    assert config.training.learning_rate == 1e-4
    assert config.data.gate == "report"
    assert config.model.bidirectional is True
    assert config.training.scan == "native"
    assert config.model.n_layer == preset("imdb", "quick").model.n_layer


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.d_model", r"expected section.field=value, got 'model.d_model'"),
        ("model=3", r"--set model: expected section.field=value"),
        ("seed.x=3", r"--set seed.x: expected section.field=value"),
        (
            "modle.d_model=3",
            r"--set modle.d_model: expected .* sections checks, data, transform, model",
        ),
        ("model.width=3", r"model has no 'width'; expected one of vocabulary_size, d_model"),
        ("task=imdb", r"--set task: expected section.field=value"),
        ("task.name=reviews", r"--set task.name: expected .* the sections checks, data, transform"),
        ("training.class_weights=1,2,3", r"class_weights: expected equal, balanced or a positive"),
        (
            "training.class_weights=1,0",
            r"a positive number for each of negative, positive, .*'1,0'",
        ),
        ("model.d_model=3.5", r"--set model.d_model: expected a valid integer, got '3.5'"),
        ("training.learning_rate=fast", r"expected a valid number, got 'fast'"),
        ("training.learning_rate=0", r"expected greater than 0, got '0'"),
        ("training.buckets=64", r"expected LENGTHxBATCH,\.\.\. of numbers from 1 on, got '64'"),
        ("training.buckets=64x0", r"of numbers from 1 on, got '64x0'"),
        ("model.bidirectional=both", r"expected a valid boolean, got 'both'"),
        ("data.gate=open", r"--set data.gate: expected 'stop' or 'report', got 'open'"),
        ("training.steps=0", r"training.steps: expected 1 or more, got 0"),
        ("training.batch=0", r"--set training.batch: expected greater than or equal to 1, got '0'"),
        ("data.fraction=0", r"data.fraction: expected greater than 0, got '0'"),
        ("data.fraction=2", r"data.fraction: expected less than or equal to 1, got '2'"),
        ("transform.tail=900", r"expected 1 to 400, the longest of training.buckets, got 1000"),
        ("model.d_model=0", r"MambaConfig.d_model must be an integer of at least 1, got 0"),
    ],
)
def test_a_bad_setting_says_what_was_expected(setting, message):
    with pytest.raises(UserError, match=message):
        with_settings(preset("imdb", "quick"), [setting])


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("bible", ["pretraining.steps=5"], r"pretraining.steps: expected 0, as bible is trained"),
        (
            "imdb",
            ["model.bidirectional=true", "pretraining.steps=5"],
            r"model\.bidirectional: expected false where pretraining.steps is not 0",
        ),
        (
            "bible",
            ["training.members=2"],
            r"^training.members: expected 1, as only a classification",
        ),
        (
            "imdb",
            ["pretraining.members=2"],
            r"pretraining.members: expected 1, as only a classification",
        ),
        ("imdb", ["training.members=0"], r"--set training.members: expected greater than or equal"),
        ("imdb", ["pretraining.evaluate_every=5"], r"pretraining.evaluate_every: expected 0"),
        ("imdb", ["training.checkpoint_every=0"], r"checkpoint_every: expected greater than"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(task, settings, message):
    with pytest.raises(UserError, match=message):
        with_settings(preset(task, "quick"), settings)


def test_values_of_the_preset_are_validated_too():
    config = preset("imdb", "quick")
    wrong = dataclasses.replace(config, push=dataclasses.replace(config.push, keep_versions=0))
    with pytest.raises(UserError, match=r"^push\.keep_versions: expected greater .* 1, got 0$"):
        with_settings(wrong, ["seed=2"])


def test_a_next_token_model_reads_one_way():
    with pytest.raises(UserError, match=r"model\.bidirectional: expected false, as bible predicts"):
        with_settings(preset("bible", "quick"), ["model.bidirectional=true"])


@pytest.mark.parametrize("task", ["bible", "imdb"])
@pytest.mark.parametrize("name", ["quick", "best"])
def test_a_configuration_comes_back_from_json(task, name):
    config = with_settings(preset(task, name), ["seed=7", "training.buckets=50x4,6000x2"])
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    assert config_from_dict(values) == config


def test_a_configuration_of_another_version_is_refused():
    values = dataclasses.asdict(preset("bible", "smoke"))
    values["training"]["momentum"] = 0.9
    with pytest.raises(UserError, match=r"configuration: training\.momentum: there is no such key"):
        config_from_dict(values)
    del values["training"]["momentum"]
    values["model"]["d_model"] = -1
    with pytest.raises(UserError, match=r"configuration: model: MambaConfig\.d_model must be"):
        config_from_dict(values)
    del values["task"]
    with pytest.raises(UserError, match=r"configuration: task: missing"):
        config_from_dict(values | {"model": {"vocabulary_size": 9}})
