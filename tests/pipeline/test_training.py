import dataclasses

import pytest

from mamba_model import MambaConfig, NextTokenModel, native_scan
from pipeline.batches import Windows
from pipeline.config import TrainingConfig
from pipeline.training import fit


@pytest.fixture
def windows(genesis):
    return Windows([genesis[:4_000]], batch=4, window=16, seed=1)


@pytest.fixture
def model():
    return NextTokenModel(MambaConfig(vocabulary_size=80, d_model=8, n_layer=1, d_state=2))


def test_without_a_compiler_it_trains_by_xla_and_says_so(
    monkeypatch, tmp_path, capsys, windows, model
):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    native_scan.load.cache_clear()
    training = dataclasses.asdict(TrainingConfig(steps=2, scan="native"))
    summary = fit(model, windows, training, log_folder=str(tmp_path))
    assert (summary["scan"], summary["steps"]) == ("xla", 2)
    assert "warning: training with XLA's scan instead: the native scan needs a C++ compiler" in (
        capsys.readouterr().err
    )
