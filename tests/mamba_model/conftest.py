"""Fixtures of the tests of mamba_model."""

import pathlib

import pytest

from mamba_model import MambaConfig, native_scan


@pytest.fixture
def config():
    """A small model without dropout, all of whose sizes differ."""
    return MambaConfig(vocabulary_size=70, d_model=12, n_layer=2, d_state=5, d_conv=4, dt_rank=3)


def pytest_runtest_setup(item):
    if item.get_closest_marker("needs_compiler"):
        try:
            native_scan.compile_command(pathlib.Path("source"), pathlib.Path("library"))
        except native_scan.NativeScanError as error:
            pytest.skip(str(error))
