"""Pushed versions against their checksums; runs are in tests/e2e/test_damage.py."""

import pytest

from data.errors import UserError
from pipeline import cli
from pipeline.pushed_models.model import find, undamaged
from pipeline.runs import verification
from serving import checksums


@pytest.fixture
def version(tmp_path):
    folder = tmp_path / "serving_models" / "bible" / "1795540775"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    checksums.write_sums(folder)
    return folder


def test_a_version_as_it_was_pushed(version):
    assert verification.of_version(version) == verification.Verification(1, (), ())
    assert undamaged(version) == version


def test_a_changed_version_is_refused_with_what_mends_it(version):
    (version / "saved_model.pb").write_bytes(b"Graph")
    line = f"{version}/saved_model.pb has changed"
    assert verification.of_version(version).damage == (line,)
    with pytest.raises(UserError, match=f"{line} .*`tf-mamba rollback bible`"):
        undamaged(version)


def test_a_version_of_an_earlier_release_is_told(version):
    (version / checksums.SUMS).unlink()
    assert verification.of_version(version).unknown == (str(version),)


def test_a_model_is_found_by_task_version_and_folder(version):
    models = version.parents[1]
    assert find(models, "bible") == find(models, "bible/1795540775") == version
    assert find(models, str(version)) == version


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "no run to verify; `tf-mamba run TASK`"), (("20261201",), "20261201: no pushed model")],
)
def test_nothing_to_verify_is_an_error_of_one_line(tmp_path, capsys, arguments, message):
    assert cli.main(["verify", "--root", str(tmp_path), *arguments]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
