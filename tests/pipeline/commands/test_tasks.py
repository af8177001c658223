"""A task of one's own works with every command."""

import json
import shutil

import pytest
import tensorflow as tf

from data import task_files
from data.errors import UserError
from pipeline import cli

OF_ANY_KIND = (
    ("run", "posts"),
    ("worker", "posts"),
    ("stage", "posts", "Trainer", "--run-id", "1"),
    ("airflow", "posts", "--out", "dag.py"),
    ("tune", "posts"),
    ("compile", "kubeflow", "posts", "--image", "i", "--pipeline-root", "gs://b/f"),
    ("reproduce", "latest", "--task", "posts"),
    ("score", "posts", "file"),
    ("serve", "posts"),
    ("infer", "posts", "file", "--out", "out"),
    ("report", "--task", "posts"),
    ("rollback", "posts"),
    ("predict", "posts", "text"),
    ("generate", "posts", "text"),
)


@pytest.fixture
def root(tmp_path):
    """A root folder whose task `posts` is that of the film reviews, by another name."""
    built_in = task_files.built_in_tasks()["imdb"]
    folder = tmp_path / "tasks" / "posts"
    folder.mkdir(parents=True)
    shutil.copy(built_in / "schema.pbtxt", folder)
    toml = (built_in / "task.toml").read_text("utf-8")
    (folder / "task.toml").write_text('base = "imdb"\nsource = "posts.csv"\n' + toml, "utf-8")
    return tmp_path


def test_every_command_takes_it(root):
    for arguments in OF_ANY_KIND:
        options = cli.parser(arguments).parse_args([*arguments, "--root", str(root)])
        assert options.task == "posts"


def test_an_unknown_task_is_told_on_one_line(root, capsys):
    assert cli.main(("run", "mails", "--root", str(root))) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "tf-mamba: mails: there is no such task; expected one of bible, imdb, posts"
    )


def test_a_command_for_the_other_kind_refuses_it(root, capsys):
    assert cli.main(("generate", "posts", "text", "--root", str(root))) == 1
    assert "posts: expected a task that predicts the next token" in capsys.readouterr().err


class _Halves(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        good = tf.strings.regex_full_match(text, ".*good.*")
        positive = tf.where(good, 0.75, 0.25)
        return {
            "probability": positive,
            "label": tf.where(good, "positive", "negative"),
            "classes": tf.tile([["negative", "positive"]], [tf.shape(text)[0], 1]),
            "scores": tf.stack([1 - positive, positive], axis=1),
        }


def test_its_pushed_model_is_asked_by_its_kind(root, capsys):
    module = _Halves()
    folder = root / "serving_models" / "posts" / "7"
    tf.saved_model.save(module, str(folder), {"serving_default": module.serving_default})
    (root / "posts.csv").write_text("text,label\na good one,1\na bad one,pos\n")

    def told(command, *arguments):
        options = ("--root", str(root), "--debug", "posts", *arguments)
        assert cli.main((command, *options)) == 0
        return capsys.readouterr().out

    assert told("predict", "so good") == "positive  (positive: 0.750)  so good\n"
    file, out = str(root / "posts.csv"), root / "out"
    score = json.loads(told("score", file))
    assert (score["accuracy"], score["n"]) == (0.5, 2)
    told("infer", file, "--out", str(out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["label"] for row in rows] == ["positive", "negative"]
    with pytest.raises(UserError, match="posts: expected a task that predicts the next token"):
        told("infer", file, "--out", str(out), "--generate")
