import numpy as np
import pytest

from pipeline.training.checkpoints import Checkpoints, prune


@pytest.fixture
def checkpoints(tmp_path):
    """After three saves, of which two are kept."""
    checkpoints = Checkpoints(tmp_path / "a", keep=2)
    for step in (10, 20, 30):
        arrays = {"model/0": np.full((4, 3), step, np.float32), "step": np.array(step)}
        checkpoints.save(step, arrays, {"step": step, "seconds": 0.5})
    return checkpoints


def test_the_last_is_loaded_and_old_ones_are_gone(checkpoints):
    arrays, facts = checkpoints.load()
    assert facts == {"step": 30, "seconds": 0.5}
    assert arrays["step"].shape == () and arrays["step"] == 30
    np.testing.assert_array_equal(arrays["model/0"], np.full((4, 3), 30, np.float32))
    assert [path.name[:8] for path in sorted(checkpoints.folder.iterdir())] == [
        "00000020", "00000030",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-7],
        lambda content: b"",
        lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
    ],
    ids=["truncated", "empty", "one bit"],
)
def test_a_damaged_one_is_noticed_and_the_one_before_it_used(checkpoints, damage, capsys):
    path = checkpoints.latest()
    path.write_bytes(damage(path.read_bytes()))
    _, facts = checkpoints.load()
    assert facts["step"] == 20
    assert f"warning: {path}: damaged checkpoint (" in capsys.readouterr().err


def test_what_a_kill_left_half_written_is_not_taken(checkpoints):
    half = checkpoints.latest().read_bytes()[:50]
    (checkpoints.folder / ".00000040-0123456789abcdef.safetensors.1f2e").write_bytes(half)
    assert checkpoints.load()[1]["step"] == 30
    checkpoints.save(40, {"step": np.array(40)}, {"step": 40})
    assert checkpoints.load()[1]["step"] == 40


def test_an_empty_folder_and_a_missing_one_hold_none(tmp_path):
    assert Checkpoints(tmp_path).load() is None
    assert Checkpoints(tmp_path / "missing").load() is None
    assert Checkpoints(tmp_path / "missing").latest() is None


def test_prune_leaves_the_trainings_that_were_saved_last(tmp_path):
    for name in "cab":
        Checkpoints(tmp_path / name).save(1, {"step": np.array(1)}, {})
    prune(tmp_path, keep=2)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["a", "b"]
