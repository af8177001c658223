import dataclasses

import pytest

from mamba_model import MambaConfig


def test_defaults_follow_the_paper():
    config = MambaConfig(vocabulary_size=100, d_model=130)
    assert (config.d_state, config.d_conv, config.expand) == (16, 4, 2)
    assert config.dt_rank == 9  # ceil(130 / 16)
    assert config.d_inner == 260


def test_dict_round_trip_gives_an_equal_config():
    config = MambaConfig(vocabulary_size=100, d_model=24, pooled_dropout=0.5)
    assert MambaConfig.from_dict(config.to_dict()) == config


def test_an_unknown_field_is_named():
    with pytest.raises(ValueError, match=r"no field \['width'\]; it has \['vocabulary_size'"):
        MambaConfig.from_dict({"vocabulary_size": 9, "width": 3})


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MambaConfig(vocabulary_size=9).d_model = 3


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("vocabulary_size", 1, "an integer of at least 2"),
        ("d_model", 0, "an integer of at least 1"),
        ("n_layer", True, "an integer of at least 1"),
        ("d_state", 2.5, "an integer of at least 1"),
        ("dt_min", 0, "a number above 0"),
        ("dt_max", 1e-4, "at least dt_min = 0.001"),
        ("norm_epsilon", float("nan"), "a number above 0"),
        ("word_dropout", 1.0, r"a rate in \[0, 1\)"),
        ("pooled_dropout", -0.1, r"a rate in \[0, 1\)"),
        ("bidirectional", 1, "True or False"),
        ("recompute_blocks", "yes", "True or False"),
        ("pooling", "sum", r"one of \('mean', 'max', 'last', 'mean_max'\)"),
    ],
)
def test_a_bad_value_is_refused_with_field_rule_and_value(field, value, rule):
    with pytest.raises(ValueError, match=rf"MambaConfig\.{field} must be {rule}, got {value!r}"):
        MambaConfig(**{"vocabulary_size": 9, field: value})
