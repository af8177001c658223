"""Fixtures of the tests of mamba_model."""

import pytest

from mamba_model import MambaConfig


@pytest.fixture
def config():
    """A small model without dropout, all of whose sizes differ."""
    return MambaConfig(vocabulary_size=70, d_model=12, n_layer=2, d_state=5, d_conv=4, dt_rank=3)
