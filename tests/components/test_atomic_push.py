"""A push shows a whole model under a new version, or nothing."""

import pytest
from google.protobuf import json_format
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts

from components import atomic_push
from data import bible


@pytest.fixture
def push(tmp_path):
    """Pushes a folder of real files as the model; returns the artifact PushedModel."""
    served = tmp_path / "model" / "Format-Serving"
    served.mkdir(parents=True)
    (served / "saved_model.pb").write_bytes(bible.packaged_file().read_bytes()[:1000])
    (served / "variables").mkdir()
    (served / "variables" / "variables.index").write_bytes(b"index")

    def push(blessed=1):
        model = standard_artifacts.Model()
        model.uri = str(tmp_path / "model")
        blessing = standard_artifacts.ModelBlessing()
        blessing.uri = str(tmp_path / "blessing")
        blessing.set_int_custom_property("blessed", blessed)
        pushed = standard_artifacts.PushedModel()
        pushed.uri = str(tmp_path / "pushed")
        destination = pusher_pb2.PushDestination()
        destination.filesystem.base_directory = str(tmp_path / "serving")
        atomic_push.Executor().Do(
            {"model": [model], "model_blessing": [blessing]},
            {"pushed_model": [pushed]},
            {"push_destination": json_format.MessageToJson(destination)},
        )
        return pushed

    return push


def test_a_blessed_model_is_pushed_whole(push, tmp_path):
    pushed = push()
    (version,) = (tmp_path / "serving").iterdir()
    assert pushed.get_string_custom_property("pushed_destination") == str(version)
    assert pushed.get_int_custom_property("pushed") == 1
    names = sorted(str(f.relative_to(version)) for f in version.rglob("*") if f.is_file())
    assert names == ["saved_model.pb", "variables/variables.index"]


def test_a_model_that_is_not_blessed_is_not_pushed(push, tmp_path):
    assert push(blessed=0).get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists()


def test_versions_grow_even_within_a_second_and_if_the_clock_went_back(push, tmp_path, monkeypatch):
    for now in (1000.2, 1000.9, 5.0):
        monkeypatch.setattr(atomic_push.time, "time", lambda now=now: now)
        push()
    assert sorted(v.name for v in (tmp_path / "serving").iterdir()) == ["1000", "1001", "1002"]


def test_a_push_that_fails_leaves_the_former_version_and_nothing_else(push, tmp_path, monkeypatch):
    push()
    before = sorted((tmp_path / "serving").iterdir())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_push.fileio, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        push()
    assert sorted((tmp_path / "serving").iterdir()) == before
