"""Bulk inference with a small real model: complete, in order, and resumable."""

import json

import numpy as np
import pytest
import tensorflow as tf

from data.errors import UserError
from pipeline.pushed_models import bulk_inference
from pipeline.pushed_models.bulk_inference import Job

JOB = Job("serving_default", ("length",), block=8)


class _Lengths(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        length = tf.strings.length(text)
        tf.debugging.assert_less(length, 1000, "the text is too long")
        return {"length": length}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lengths") / "1"
    module = _Lengths()
    signatures = {"serving_default": module.serving_default}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


class _Moods(tf.Module):
    """Tells a question and an exclamation from a statement."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        classes = tf.constant(["statement", "question", "exclamation"])
        ends = [tf.strings.regex_full_match(text, f".*[{sign}]") for sign in "?!"]
        first = ~(ends[0] | ends[1])
        scores = 0.2 + 0.4 * tf.cast(tf.stack([first, *ends], axis=1), tf.float32)
        return {
            "label": tf.gather(classes, tf.argmax(scores, axis=1)),
            "classes": tf.tile(classes[None], [tf.shape(text)[0], 1]),
            "scores": scores,
        }


def test_a_classifiers_scores_are_written_by_class(tmp_path):
    module = _Moods()
    folder = tmp_path / "moods" / "1"
    tf.saved_model.save(module, str(folder), {"serving_default": module.serving_default})
    file, out = tmp_path / "texts.txt", tmp_path / "out.jsonl"
    file.write_text("Where art thou?\nIn the beginning.\nHear, O Israel!\n")
    bulk_inference.infer(folder, bulk_inference.CLASSIFY, file, out)
    rest = {"statement": 0.2, "question": 0.2, "exclamation": 0.2}
    labels = ("question", "statement", "exclamation")
    assert _read(out) == [
        {"row": i, "label": label, "scores": {**rest, label: 0.6}} for i, label in enumerate(labels)
    ]


@pytest.fixture
def texts():
    lengths = np.random.default_rng(0).integers(1, 900, 50)
    lengths[[3, 20]] = 1500
    return ["x" * n for n in lengths]


def _file(tmp_path, texts):
    file = tmp_path / "texts.txt"
    file.write_text("".join(text + "\n" for text in texts))
    return file


def _read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_row_has_its_answer_or_its_error_in_order(model, texts, tmp_path):
    out = tmp_path / "out.jsonl"
    report = bulk_inference.infer(model, JOB, _file(tmp_path, texts), out)
    assert (report.rows, report.resumed_at, report.errors) == (50, 0, 2)
    for i, (text, line) in enumerate(zip(texts, _read(out), strict=True)):
        if len(text) == 1500:
            assert line["row"] == i
            assert "the text is too long" in line["error"]
        else:
            assert line == {"row": i, "length": len(text)}
    assert {path.name for path in tmp_path.iterdir()} == {"texts.txt", "out.jsonl"}


class _Killed(BaseException):
    pass


def _killed_after(blocks, monkeypatch):
    """Kills a run after `blocks` blocks."""
    answers = bulk_inference._answers
    seen = []

    def fail_late(*arguments):
        if len(seen) == blocks:
            raise _Killed
        seen.append(None)
        return answers(*arguments)

    monkeypatch.setattr(bulk_inference, "_answers", fail_late)


def test_a_killed_run_resumes_and_writes_the_same(model, texts, tmp_path, monkeypatch):
    file, out = _file(tmp_path, texts), tmp_path / "out.jsonl"
    bulk_inference.infer(model, JOB, file, out)
    whole = out.read_bytes()
    out.unlink()
    with monkeypatch.context() as patched:
        _killed_after(3, patched)
        with pytest.raises(_Killed):
            bulk_inference.infer(model, JOB, file, out)
    assert not out.exists()
    partial = tmp_path / "out.jsonl.partial"
    assert len(_read(partial)) == 24
    partial.write_bytes(partial.read_bytes()[:-5])  # as if killed while writing
    report = bulk_inference.infer(model, JOB, file, out)
    assert (report.rows, report.resumed_at, report.errors) == (50, 23, 2)
    assert out.read_bytes() == whole


@pytest.mark.parametrize("change", ["file", "settings"])
def test_the_output_of_another_job_is_not_resumed(model, texts, tmp_path, monkeypatch, change):
    file, out = _file(tmp_path, texts), tmp_path / "out.jsonl"
    with monkeypatch.context() as patched:
        _killed_after(2, patched)
        with pytest.raises(_Killed):
            bulk_inference.infer(model, JOB, file, out)
    job = JOB
    if change == "file":
        file = _file(tmp_path, texts[1:])
    else:
        job = Job("serving_default", ("length",), {"seed": 1}, block=8)
        with pytest.raises(UserError, match="serving_default takes no seed"):
            bulk_inference.infer(model, job, file, out)
        job = JOB
    report = bulk_inference.infer(model, job, file, out)
    assert report.resumed_at == 0
    assert len(_read(out)) == report.rows


def test_two_runs_do_not_write_the_same_file(model, texts, tmp_path):
    file, out = _file(tmp_path, texts), tmp_path / "out.jsonl"
    partial = tmp_path / "out.jsonl.partial"
    with (
        bulk_inference._locked(partial),
        pytest.raises(UserError, match="another run is writing it"),
    ):
        bulk_inference.infer(model, JOB, file, out)


def test_an_output_file_in_a_missing_folder_is_refused(model, texts, tmp_path):
    with pytest.raises(UserError, match="expected a file in a folder that exists"):
        bulk_inference.infer(model, JOB, _file(tmp_path, texts), tmp_path / "none" / "out")


def test_an_empty_file_gives_an_empty_one(model, tmp_path):
    report = bulk_inference.infer(model, JOB, _file(tmp_path, []), tmp_path / "out")
    assert (report.rows, (tmp_path / "out").read_bytes()) == (0, b"")
