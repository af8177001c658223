"""Pushes are atomic, each with a new version."""

import json
import multiprocessing
import os
import resource
import subprocess
from pathlib import Path

import pytest
from google.protobuf import json_format
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts

from components import atomic_push, serving_versions
from components.artifacts import ModelCard
from data.bible import reader as bible
from serving import checksums


@pytest.fixture
def push(tmp_path):
    """Pushes a folder of real files as the model; returns the artifact PushedModel."""
    served = tmp_path / "model" / "Format-Serving"
    served.mkdir(parents=True)
    (served / "saved_model.pb").write_bytes(bible.packaged_file().read_bytes()[:1000])
    (served / "variables").mkdir()
    (served / "variables" / "variables.index").write_bytes(b"index")

    def push(blessed=1, keep_versions=0, infra_blessed=1, card=None, validated=None):
        model = standard_artifacts.Model()
        model.uri = str(tmp_path / "model")
        blessing = standard_artifacts.ModelBlessing()
        blessing.uri = str(tmp_path / "blessing")
        blessing.set_int_custom_property("blessed", blessed)
        infra = standard_artifacts.InfraBlessing()
        infra.set_int_custom_property("blessed", infra_blessed)
        validator = standard_artifacts.InfraBlessing()
        validator.set_int_custom_property("blessed", validated or 0)
        pushed = standard_artifacts.PushedModel()
        pushed.uri = str(tmp_path / "pushed")
        destination = pusher_pb2.PushDestination()
        destination.filesystem.base_directory = str(tmp_path / "serving")
        atomic_push.Executor().Do(
            {
                "model": [model],
                "model_blessing": [blessing],
                "infra_blessing": [infra],
                "infra_validator_blessing": [] if validated is None else [validator],
                "model_card": [card] if card else [],
            },
            {"pushed_model": [pushed]},
            {
                "push_destination": json_format.MessageToJson(destination),
                "custom_config": json.dumps({"keep_versions": keep_versions}),
            },
        )
        return pushed

    return push


def test_a_blessed_model_is_pushed_with_all_files(push, tmp_path):
    pushed = push()
    (version,) = (tmp_path / "serving").iterdir()
    assert pushed.get_string_custom_property("pushed_destination") == str(version)
    assert pushed.get_int_custom_property("pushed") == 1
    names = sorted(str(f.relative_to(version)) for f in version.rglob("*") if f.is_file())
    assert names == [checksums.SUMS, "saved_model.pb", "variables/variables.index"]
    assert checksums.damage(version) == []
    (version / "saved_model.pb").write_bytes(b"")
    assert checksums.damage(version) == [f"{version}/saved_model.pb has changed"]


def test_the_card_is_pushed_with_the_model(push, tmp_path):
    card = ModelCard()
    card.uri = str(tmp_path / "card")
    Path(card.uri).mkdir()
    Path(card.uri, "model_card.md").write_text("# A model\n")
    extra = tmp_path / "model/Format-Serving/assets.extra"
    extra.mkdir()
    (extra / "limits.json").write_text("{}")
    version = Path(push(card=card).get_string_custom_property("pushed_destination"))
    names = sorted(path.name for path in (version / "assets.extra").iterdir())
    assert names == ["SHA256SUMS", "limits.json", "model_card.md"]
    assert not (extra / "model_card.md").exists()  # the Trainer's artifact is unchanged


def test_a_model_that_is_not_blessed_is_not_pushed(push, tmp_path):
    assert push(blessed=0).get_int_custom_property("pushed") == 0
    assert push(infra_blessed=0).get_int_custom_property("pushed") == 0
    assert push(validated=0).get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists()
    assert push(validated=1).get_int_custom_property("pushed") == 1


def test_versions_grow_even_within_a_second_and_if_the_clock_went_back(push, tmp_path, monkeypatch):
    for now in (1000.2, 1000.9, 5.0):
        monkeypatch.setattr(serving_versions.time, "time", lambda now=now: now)
        push()
    assert sorted(v.name for v in (tmp_path / "serving").iterdir()) == ["1000", "1001", "1002"]


def test_a_push_that_fails_leaves_only_the_former_version(push, tmp_path, monkeypatch):
    push()
    before = sorted((tmp_path / "serving").iterdir())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        push()
    assert sorted((tmp_path / "serving").iterdir()) == before


def test_the_newest_versions_stay(push, tmp_path):
    for _ in range(4):
        pushed = push(keep_versions=2)
    served = serving_versions.versions(tmp_path / "serving")
    assert len(served) == 2
    assert str(served[-1]) == pushed.get_string_custom_property("pushed_version")
    assert len(list((tmp_path / "serving").iterdir())) == 2


def test_the_rest_of_a_killed_push_is_no_version_and_its_number_is_not_reused(tmp_path):
    left = tmp_path / f".unfinished-{2**40}"  # a number far above the time
    left.mkdir()
    assert serving_versions.versions(tmp_path) == []
    version = serving_versions.publish(tmp_path, lambda folder: None)
    assert version == 2**40 + 1
    serving_versions.prune(tmp_path, 1, version)
    assert left.exists()  # a process may still write it
    os.utime(left, (0, 0))
    serving_versions.prune(tmp_path, 1, version)
    assert [path.name for path in tmp_path.iterdir()] == [str(version)]


def _publish_many(base, start):
    start.wait()
    for _ in range(20):
        serving_versions.publish(base, lambda folder: (folder / "saved_model.pb").touch())


def test_simultaneous_pushes_get_different_numbers(tmp_path):
    context = multiprocessing.get_context("fork")
    start = context.Event()
    processes = [context.Process(target=_publish_many, args=(tmp_path, start)) for _ in range(4)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(list(tmp_path.iterdir())) == len(serving_versions.versions(tmp_path)) == 80


def _push_more_than_fits(base):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    _write_much(base)


def _write_much(base):
    serving_versions.publish(base, lambda folder: (folder / "much").write_bytes(bytes(2**20)))


def test_a_full_disk_leaves_the_former_version_serving(tmp_path):
    """On a small file system if it can be mounted, else with a limit on file sizes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True).returncode
    try:
        former = serving_versions.publish(disk, lambda folder: (folder / "small").write_text("a"))
        if mounted:
            with pytest.raises(OSError, match="No space left"):
                _write_much(disk)
        else:
            process = multiprocessing.get_context("fork").Process(
                target=_push_more_than_fits, args=(disk,)
            )
            process.start()
            process.join(60)
            assert process.exitcode != 0
        assert [path.name for path in disk.iterdir() if path.name.isdigit()] == [str(former)]
        assert (disk / str(former) / "small").read_text() == "a"
    finally:
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)
