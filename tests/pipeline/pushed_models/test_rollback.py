import json

import pytest

from components import serving_versions
from data.errors import UserError
from pipeline.cli import main
from pipeline.pushed_models.rollback import NOTE, rollback


@pytest.fixture
def base(tmp_path):
    return tmp_path / "serving_models" / "bible"


def _publish(base, content):
    def write(folder):
        (folder / "saved_model.pb").write_text(content)
        (folder / "assets.extra").mkdir()
        (folder / "assets.extra" / "limits.json").write_text("{}")

    return serving_versions.publish(base, write)


def _served(base):
    newest = base / str(serving_versions.versions(base)[-1])
    return (newest / "saved_model.pb").read_text(), json.loads((newest / NOTE).read_text())


def test_the_former_version_serves_again_under_a_higher_number(base, tmp_path):
    first, second = _publish(base, "first"), _publish(base, "second")
    version, content, served = rollback(tmp_path / "serving_models", "bible")
    assert version > second and (content, served) == (first, second)
    model, note = _served(base)
    assert model == "first"
    assert (note["rolled_back_from"], note["content_of"]) == (second, first)
    assert serving_versions.versions(base) == [first, second, version]
    assert not (base / str(first) / NOTE).exists()  # though files are shared


def test_a_second_rollback_goes_further_back_and_to_chooses_any_version(base, tmp_path):
    first, second, third = (_publish(base, text) for text in ("first", "second", "third"))
    assert rollback(base.parent, "bible")[1:] == (second, third)
    version, content, _ = rollback(base.parent, "bible")
    assert content == first and _served(base)[0] == "first"
    with pytest.raises(UserError, match=r"there is nothing to roll back to: .* versions: "):
        rollback(base.parent, "bible")
    assert rollback(base.parent, "bible", third)[1:] == (third, version)
    assert _served(base)[0] == "third"
    # A rollback to a version that is itself a rollback, with the content of the first.
    rollback(base.parent, "bible", version)
    assert _served(base)[1]["content_of"] == first


def test_a_rollback_without_a_former_version_fails_with_one_line(base, tmp_path, capsys):
    command = ["rollback", "bible", "--root", str(tmp_path)]
    assert main(command) == 1
    assert "found none; `tf-mamba run bible` trains" in capsys.readouterr().err
    only = _publish(base, "only")
    for arguments, message in (
        ([], "there is nothing to roll back to"),
        (["--to", "5"], f"there is no version 5; expected one of {only}"),
        (["--to", str(only)], f"version {only} serves now"),
    ):
        assert main([*command, *arguments]) == 1
        assert message in capsys.readouterr().err
    assert serving_versions.versions(base) == [only]
    later = _publish(base, "later")
    assert main(command) == 0
    assert f"content of {only}, instead of {later}" in capsys.readouterr().out
