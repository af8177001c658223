"""Values as TOML, read back by Python's own reader."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.new_task.task_toml import as_toml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))  # lone surrogates are no text


@given(st.recursive(_TEXTS | st.booleans() | st.integers(-(2**60), 2**60), st.lists, max_leaves=8))
def test_a_value_is_read_back_as_it_was(value):
    assert tomllib.loads(f"key = {as_toml(value)}") == {"key": value}


def test_patterns_stay_legible():
    assert as_toml(r"^Chapter \d+$") == r"'^Chapter \d+$'"
    assert as_toml("\u200b") == '"\\u200b"'


def test_a_value_that_toml_lacks_is_refused():
    with pytest.raises(TypeError, match="expected a value that TOML has, got None"):
        as_toml(None)
