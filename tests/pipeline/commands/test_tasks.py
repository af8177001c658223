"""A task that someone adds to TASKS works with every command."""

import dataclasses
import json

import pytest
import tensorflow as tf

from data.errors import UserError
from data.tasks import TASKS
from pipeline import cli

OF_ANY_HEAD = (
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
    ("download", "posts"),
)
OF_HEAD = {"sentiment": ("predict", "posts", "text"), "next_token": ("generate", "posts", "text")}


def _add_task(monkeypatch, head):
    like = next(task for task in TASKS.values() if task.head == head)
    monkeypatch.setitem(TASKS, "posts", dataclasses.replace(like, name="posts"))


def _parse(arguments):
    return cli.parser(arguments).parse_args(arguments)


@pytest.mark.parametrize("head", ["sentiment", "next_token"])
def test_every_command_takes_it(monkeypatch, head):
    _add_task(monkeypatch, head)
    for arguments in (*OF_ANY_HEAD, OF_HEAD[head]):
        assert "posts" in vars(_parse(arguments)).values()


@pytest.mark.parametrize(
    ("head", "other"), [("sentiment", "next_token"), ("next_token", "sentiment")]
)
def test_a_command_for_another_head_refuses_it(monkeypatch, capsys, head, other):
    _add_task(monkeypatch, head)
    with pytest.raises(SystemExit):
        _parse(OF_HEAD[other])
    assert "invalid choice: 'posts'" in capsys.readouterr().err


class _Halves(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        good = tf.strings.regex_full_match(text, ".*good.*")
        return {
            "probability": tf.where(good, 0.75, 0.25),
            "label": tf.where(good, "positive", "negative"),
        }


def test_its_pushed_model_is_asked_by_its_head(monkeypatch, capsys, tmp_path):
    _add_task(monkeypatch, "sentiment")
    module = _Halves()
    folder = tmp_path / "serving_models" / "posts" / "7"
    tf.saved_model.save(module, str(folder), {"serving_default": module.serving_default})
    (tmp_path / "posts.csv").write_text("text,label\na good one,1\na bad one,1\n")

    def told(command, *arguments):
        options = ("--root", str(tmp_path), "--debug", "posts", *arguments)
        assert cli.main((command, *options)) == 0
        return capsys.readouterr().out

    assert told("predict", "so good") == "positive  (positive: 0.750)  so good\n"
    file, out = str(tmp_path / "posts.csv"), tmp_path / "out"
    score = json.loads(told("score", file))
    assert (score["accuracy"], score["n"]) == (0.5, 2)
    told("infer", file, "--out", str(out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["label"] for row in rows] == ["positive", "negative"]
    with pytest.raises(UserError, match="--generate: expected the task bible, got posts"):
        told("infer", file, "--out", str(out), "--generate")
