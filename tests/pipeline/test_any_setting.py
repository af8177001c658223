"""Any value of any field that `--set` takes: refused at once, or one that the pipeline takes."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data.errors import UserError
from data.records import ONE_SHARD, Source
from pipeline.pipeline import create_pipeline
from pipeline.places import Places
from pipeline.presets import preset
from pipeline.run_context import RunContext
from pipeline.settings import LEAST_VOCABULARY, config_from_dict, with_settings
from pipeline.stage_code import stage_hashes
from pipeline.transform.token_ids import RESERVED
from pipeline.transform.tokenization import byte_alphabet

_SECTIONS = (
    "checks", "data", "transform", "model", "pretraining", "training", "export", "evaluation",
    "infra_check", "push",
)  # fmt: skip
PRESETS = {task: preset(task, "smoke") for task in ("bible", "imdb")}
CODE = {
    name: stage_hashes(config.task.kind, config.reading.reader) for name, config in PRESETS.items()
}
NAMES = sorted(
    ["seed"]
    + [
        f"{section}.{field.name}"
        for section in _SECTIONS
        for field in dataclasses.fields(getattr(PRESETS["imdb"], section))
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        ["-1", "0", "1", "2", "3", "1e999", "-1e999", "nan", "inf", "1e300", "1e-400", "-0.0",
         "4294967296", "2147483648", "9" * 400, "1_0", "0x10", "٣", "true", "false", "None", "",
         " 5 ", "\0", "\udcff", "report", "stop", "native", "balanced", "1,2", "64x8,128x4",
         "0x0", "-1x5", "1x" + "9" * 30, "mean", "book"]
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=20),
)  # fmt: skip


def _properties(config):
    """All parameters of all stages."""
    source = Source("packaged", "text", "0" * 64, (ONE_SHARD,))
    context = RunContext(CODE[config.task.name], {})
    places = Places.below(Path("/nowhere"))
    for node in create_pipeline(
        config, source, places, ["--runner=FnApiRunner"], context
    ).components:
        yield from node.exec_properties.values()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(task=st.sampled_from(sorted(PRESETS)), name=st.sampled_from(NAMES), value=VALUES)
@example(task="imdb", name="seed", value="-1")
@example(task="imdb", name="training.learning_rate", value="1e999")
@example(task="imdb", name="export.max_rows", value="-1")
@example(task="imdb", name="model.vocabulary_size", value="3")
def test_any_value_is_refused_or_defines_a_pipeline(task, name, value):
    try:
        config = with_settings(PRESETS[task], [f"{name}={value}"])
    except UserError as error:
        assert "\n" not in str(error)
        return
    for given_value in _properties(config):
        if isinstance(given_value, int):  # as the metadata store keeps it
            assert abs(given_value) < 1 << 63
        elif isinstance(given_value, float):
            assert math.isfinite(given_value)
        elif isinstance(given_value, str):
            given_value.encode()
    values = json.loads(json.dumps(dataclasses.asdict(config), allow_nan=False))
    assert config_from_dict(values) == config


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed=-1", r"^--set seed: expected greater than or equal to 0, got '-1'$"),
        ("seed=4294967296", r"^--set seed: expected less than or equal to 4294967295, got"),
        ("training.learning_rate=1e999", r"^--set training.learning_rate: expected .*'1e999'$"),
        ("training.clip_norm=nan", r"^--set training.clip_norm: expected .*, got 'nan'$"),
        ("export.max_rows=-1", r"^--set export.max_rows: expected .* equal to 1, got '-1'$"),
        (
            "model.vocabulary_size=3",
            r"^model.vocabulary_size: expected 259 or more \(padding, start, the 256 bytes and one"
            r" learned piece\), got 3$",
        ),
        (
            "model.d_model=9999999999",
            r"^model.d_model: expected at most 2147483647, got 9999999999$",
        ),
        ("checks.lowest_class_share=nan", r"^--set checks.lowest_class_share: expected .*'nan'$"),
    ],
)
def test_a_value_out_of_bounds_is_refused_at_the_start(setting, message):
    with pytest.raises(UserError, match=message):
        with_settings(PRESETS["imdb"], [setting])


def test_the_least_vocabulary_is_what_the_tokenizer_needs():
    assert len(RESERVED) + len(byte_alphabet()) + 1 == LEAST_VOCABULARY
