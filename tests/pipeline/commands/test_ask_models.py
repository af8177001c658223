"""What a pushed model answers to predict, score and infer, by its task's kind and classes."""

import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from data.errors import UserError
from pipeline import cli

TOML = {
    2: 'kind = "classification"\nclasses = ["bad", "good"]\nbase = "imdb"\n',
    3: 'kind = "classification"\nclasses = ["bad", "good", "neither"]\nbase = "imdb"\n',
    "next-token": 'kind = "next-token"\nbase = "bible"\n',
}


@pytest.fixture
def add_task(tmp_path):
    """Adds a task `posts` to the root folder."""

    def add(what):
        folder = tmp_path / "tasks" / "posts"
        folder.mkdir(parents=True)
        (folder / "task.toml").write_text(TOML[what])
        (folder / "schema.pbtxt").write_text('feature { name: "text" type: BYTES }\n')

    return add


class _Words(tf.Module):
    """Classifies by the words good and bad."""

    def __init__(self, classes):
        self.classes = classes

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        found = [tf.strings.regex_full_match(text, f"(?s).*{name}.*") for name in self.classes]
        weights = 1.0 + 2.0 * tf.cast(tf.stack(found, axis=1), tf.float32)
        scores = weights / tf.reduce_sum(weights, axis=1, keepdims=True)
        return {
            "label": tf.gather(tf.constant(self.classes), tf.argmax(scores, axis=1)),
            "classes": tf.tile([self.classes], [tf.shape(text)[0], 1]),
            "scores": scores,
        }


@pytest.fixture
def push(tmp_path):
    """Pushes a model of the task."""

    def push(*classes):
        module = _Words(classes)
        folder = tmp_path / "serving_models" / "posts" / "7"
        tf.saved_model.save(module, str(folder), {"serving_default": module.serving_default})

    return push


@pytest.fixture
def told(tmp_path, capsys):
    """Runs a command in the root folder; returns what it printed."""

    def told(command, *arguments):
        options = ("--root", str(tmp_path), "--debug", "posts", *arguments)
        assert cli.main((command, *options)) == 0
        return capsys.readouterr().out

    return told


@pytest.mark.parametrize(
    ("command", "what", "message"),
    [
        (("predict", "a text"), "next-token", "posts: expected a task that classifies texts, got"),
        (("generate", "a text"), 3, "posts: expected a task that predicts the next token, got"),
        (
            ("infer", "file", "--out", "out", "--generate"),
            2,
            "posts: expected a task that predicts",
        ),
    ],
)
def test_a_command_for_the_other_kind_refuses_it(add_task, told, command, what, message):
    add_task(what)
    with pytest.raises(UserError, match=message):
        told(*command)


def test_of_two_classes_the_seconds_probability_is_printed(add_task, push, told):
    add_task(2)
    push("bad", "good")
    assert told("predict", "so good", "so\n bad") == (
        "good  (good: 0.750)  so good\nbad  (good: 0.250)  so bad\n"
    )


def test_of_more_classes_the_labels_probability_is_printed(add_task, push, told):
    add_task(3)
    push("bad", "good", "neither")
    assert told("predict", "so bad", "neither") == (
        "bad  (bad: 0.600)  so bad\nneither  (neither: 0.600)  neither\n"
    )


def test_its_pushed_model_is_scored_and_asked_for_a_file(add_task, push, told, tmp_path):
    add_task(3)
    push("bad", "good", "neither")
    file, out = tmp_path / "posts.csv", tmp_path / "out"
    file.write_text("text,label\na good one,good\na bad one,good\nthis,bad\n")
    score = json.loads(told("score", str(file)))
    assert (score["accuracy"], score["n"]) == (pytest.approx(2 / 3), 3)
    told("infer", str(file), "--out", str(out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["label"] for row in rows] == ["good", "bad", "bad"]
    assert rows[0]["scores"] == {"bad": 0.2, "good": 0.6, "neither": 0.2}
    with pytest.raises(UserError, match="--seed: needs --generate"):
        told("infer", str(file), "--out", str(out), "--seed", "3")


def test_a_file_of_one_class_has_no_auc_and_says_why(add_task, push, tmp_path, capsys):
    add_task(3)
    push("bad", "good", "neither")
    (tmp_path / "posts.csv").write_text("text,label\na good one,good\na fine one,good\n")
    assert cli.main(("score", "--root", str(tmp_path), "posts", str(tmp_path / "posts.csv"))) == 0
    told = capsys.readouterr()

    def refused(name):
        raise ValueError(name)

    score = json.loads(told.out, parse_constant=refused)
    assert (score["auc"], score["n"]) == (None, 2)
    assert "auc is null, as it needs texts of two classes or more" in told.err


@pytest.mark.parametrize(
    ("command", "what", "where"), [("predict", 2, "text 1"), ("generate", "next-token", "prompt")]
)
def test_a_text_that_is_not_utf8_is_refused_with_the_byte(add_task, tmp_path, command, what, where):
    add_task(what)
    program = [sys.executable, "-m", "pipeline.cli", command, "--root", str(tmp_path)]
    done = subprocess.run([*program, "posts", b"caf\xe9 noir"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"tf-mamba: {where}: expected UTF-8, got the byte 0xe9 at offset 3."
    )


@pytest.mark.timeout(60)
def test_what_is_no_regular_file_is_not_scored(add_task, told, tmp_path):
    add_task("next-token")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe: expected a regular file, got a named pipe"):
        told("score", str(tmp_path / "pipe"))
    with pytest.raises(UserError, match="expected a regular file, got a device"):
        told("score", "/dev/zero")
