import numpy as np
import pytest

import mamba_model


@pytest.mark.slow
def test_the_example_of_the_package_runs(genesis, tmp_path, monkeypatch):
    """All of it; what it takes as given is real text, and a checkpoint in the folder it names."""
    windows = genesis[: 4 * 32 + 1]
    given = {
        "tokens": windows[:-1].reshape(4, 32),
        "targets": windows[1:].reshape(4, 32),
        "prompts": genesis[:20].reshape(2, 10),
        "lengths": [10, 4],
    }
    monkeypatch.chdir(tmp_path)
    published = mamba_model.NextTokenModel(mamba_model.MambaConfig(vocabulary_size=70, d_model=16))
    mamba_model.save_checkpoint(published, "mamba-130m-hf")
    example = mamba_model.__doc__.split("\n\n", 1)[1]
    exec(example, given)
    assert given["tokens"].shape == given["log_probabilities"].shape == (2, 50)
    assert np.isfinite(given["log_probabilities"]).all()
    assert (tmp_path / "mine").is_dir()
