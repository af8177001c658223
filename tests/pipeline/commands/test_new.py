"""`tf-mamba new` and `tf-mamba tasks`, as a user types them."""

import pytest
from own_corpora import snippets, write_csv

from data import task_files
from pipeline import cli


def _typed(root, *arguments):
    command, *rest = arguments
    return cli.main([command, *rest, "--root", str(root)])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root folder with a task that `new` made."""
    root = tmp_path_factory.mktemp("root")
    write_csv(root / "snippets.csv", ["text", "label"], snippets()[::4])
    source = ("--source", str(root / "snippets.csv"))
    assert _typed(root, "new", "verdicts", "--kind", "classification", *source) == 0
    return root


def test_the_task_is_one_like_any_other(root):
    file = task_files.find("verdicts", root / "tasks")
    assert file.task.classes == ("0", "1")
    assert {path.name for path in (root / "tasks").rglob("*")} == {
        "verdicts",
        "task.toml",
        "schema.pbtxt",
    }


def test_tasks_lists_it_beside_the_built_in_ones(root, capsys):
    (root / "tasks" / "broken").mkdir()
    (root / "tasks" / "broken" / "task.toml").write_text('kind = "regression"\n')
    assert _typed(root, "tasks") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == {"task", "verdicts", "broken", *task_files.built_in_tasks()}
    assert "classification  2: 0, 1" in lines["verdicts"]
    assert lines["verdicts"].endswith(str(root / "tasks" / "verdicts"))
    assert "task.toml: kind: expected 'classification' or 'next-token'" in lines["broken"]
    for name in task_files.built_in_tasks():
        assert lines[name].endswith("built-in")


def test_it_is_not_overwritten_without_force(root, capsys):
    file = root / "tasks" / "verdicts" / "task.toml"
    before = file.read_text()
    source = ("--source", str(root / "snippets.csv"))
    assert _typed(root, "new", "verdicts", "--kind", "classification", *source) == 1
    error = capsys.readouterr().err
    assert error == f"tf-mamba: {file}: is there already; --force overwrites it\n"
    assert file.read_text() == before


def test_a_missing_source_is_one_line(root, capsys):
    assert _typed(root, "new", "other", "--kind", "next-token", "--source", "no/such.csv") == 1
    error = capsys.readouterr().err
    assert error.startswith("tf-mamba: no/such.csv: ")
    assert error.count("\n") == 1
    assert not (root / "tasks" / "other").exists()
