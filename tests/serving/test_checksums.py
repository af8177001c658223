"""Checksums of a version: sha256sum's own, and what differs from them."""

import os
import shutil
import subprocess

import pytest

from serving import checksums


@pytest.fixture
def version(tmp_path):
    folder = tmp_path / "1795540775"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index\n")
    checksums.write_sums(folder)
    return folder


def test_sha256sum_reads_them(version):
    done = subprocess.run(
        ["sha256sum", "-c", checksums.SUMS], cwd=version, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout == "saved_model.pb: OK\nvariables/variables.index: OK\n"


def test_an_unchanged_version_has_no_damage_and_may_be_added_to(version):
    assert checksums.damage(version) == []
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")
    assert checksums.damage(version) == []


def test_a_changed_and_a_missing_file_are_named(version):
    (version / "saved_model.pb").write_bytes(b"Graph")
    (version / "variables" / "variables.index").unlink()
    assert checksums.damage(version) == [
        f"{version}/saved_model.pb has changed",
        f"{version}/variables/variables.index is missing",
    ]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0123\n", b"no such file\n"])
def test_damaged_sums_are_damage(version, content):
    (version / checksums.SUMS).write_bytes(content)
    (line,) = checksums.damage(version)
    assert checksums.SUMS in line


def test_a_version_of_an_earlier_release_has_none(version):
    (version / checksums.SUMS).unlink()
    (version / "saved_model.pb").write_bytes(b"Graph")
    assert checksums.damage(version) == []


def test_sums_of_a_copied_version_leave_the_original_alone(version, tmp_path):
    copy = tmp_path / "1795540776"
    shutil.copytree(version, copy, copy_function=os.link)
    (copy / "note.json").write_text("{}")
    checksums.write_sums(copy)
    assert checksums.damage(copy) == checksums.damage(version) == []
    assert "note.json" in (copy / checksums.SUMS).read_text()
    assert "note.json" not in (version / checksums.SUMS).read_text()


def test_a_file_is_its_own_content(tmp_path):
    file = tmp_path / "report.html"
    file.write_text("<p>one</p>")
    before = checksums.of_files(file)
    assert list(before) == ["."]
    file.write_text("<p>two</p>")
    assert checksums.differences(file, before) == [f"{file} has changed"]
