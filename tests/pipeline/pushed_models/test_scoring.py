import itertools
import random

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from read_corpora import BIBLE, IMDB, records

from data.errors import UserError
from pipeline.evaluation.formulas import area_under_curve
from pipeline.pushed_models import scoring
from pipeline.pushed_models.scoring import Part, parts
from pipeline.report.measurements import classification
from serving.served_model import ServedModel

_BINS = 1 << 16  # of a score


class _SaysWhatItReads(tf.Module):
    """Reads each text as the score of the second class, which may be at most 1."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        probability = tf.strings.to_number(text)
        check = tf.debugging.Assert(tf.reduce_all(probability <= 1), ["expected", 1, "at most"])
        with tf.control_dependencies([check]):
            return {"scores": tf.stack([1 - probability, probability], axis=1)}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader") / "1"
    module = _SaysWhatItReads()
    tf.saved_model.save(module, str(folder), {"serving_default": module.serving_default})
    return folder


def _score(reader, file):
    return scoring.score_labelled(reader, file, IMDB.task, IMDB.reading)


def test_a_tie_goes_to_the_first_class(reader, tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_text("text,label\n0.5,0\n0.5,1\n0.75,1\n0.25,1\n0.75,0\n")
    assert _score(reader, file)["accuracy"] == 2 / 5
    texts, labels = ["0.5", "0.5", "0.75", "0.25"], np.array([0, 1, 1, 1])
    scores = classification._scores(ServedModel(reader), texts, 2)
    assert classification._most_wrong(texts, labels, scores) == [3, 1]


def test_a_text_that_the_model_refuses_is_a_users_mistake(reader, tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_text("text,label\n2,1\n")
    with pytest.raises(UserError, match=r"^expected 1 at most$"):
        _score(reader, file)


def _chapters(most):
    return [record.features["text"] for record in records(BIBLE)[:most]]


def _parts_of(tmp_path, text):
    file = tmp_path / "text.txt"
    file.write_text(text, "utf-8")
    return list(parts(scoring._lines(file)))


def test_a_blank_line_starts_a_new_document(tmp_path):
    assert _parts_of(tmp_path, "a\nb\n\n \nc\n") == [
        Part("a\nb", True, True),
        Part("c", True, True),
    ]


def test_a_last_line_without_its_end_counts_as_a_line(tmp_path):
    assert _parts_of(tmp_path, "a\nb") == [Part("a\nb", True, True)]


def test_a_long_document_is_split_into_parts_of_whole_lines(tmp_path):
    text = "\n".join(_chapters(8)) + "\n"
    found = _parts_of(tmp_path, text)
    assert [part.starts_document for part in found] == [True] + [False] * (len(found) - 1)
    assert len(found) > 1
    assert all(part.ends_line and len(part.text) <= scoring._PART for part in found)
    assert "".join(part.text + "\n" for part in found) == text


def test_a_line_without_end_is_cut_within_words_and_nothing_is_lost(tmp_path):
    line = " ".join(_chapters(8)).replace("\n", " ")
    found = _parts_of(tmp_path, line)
    assert [part.ends_line for part in found] == [False] * (len(found) - 1) + [True]
    assert "".join(part.text for part in found) == line
    for left, right in itertools.pairwise(found):
        assert not left.text[-1].isspace()
        assert not right.text[0].isspace()


def test_memory_does_not_grow_with_the_file(tmp_path):
    import tracemalloc

    file = tmp_path / "long.txt"
    text = "\n\n".join(_chapters(30)) + "\n\n"

    def peak(copies):
        with file.open("w", encoding="utf-8") as stream:
            for _ in range(copies):
                stream.write(text)
        tracemalloc.start()
        for _ in scoring._batches(parts(scoring._lines(file))):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(50) < 1.2 * peak(5)


def test_only_the_last_part_of_a_batch_continues_in_the_next():
    stream = [Part("", True, start) for start in ([True] * 3 + [False] * 2 + [True] * 40 + [False])]
    batches = list(scoring._batches(stream))
    assert list(itertools.chain.from_iterable(batches)) == stream
    for batch in batches:
        assert len(batch) <= scoring._LANES
        assert all(part.starts_document for part in batch[1:])


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.floats(0, 1, width=32)), min_size=2, max_size=60
    ).filter(lambda rows: len({label for label, _ in rows}) == 2)
)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows):
    counts = np.zeros((2, _BINS), np.int64)
    bins = [(label, min(int(p * _BINS), _BINS - 1)) for label, p in rows]
    for label, at in bins:
        counts[label, at] += 1
    pairs = [(n, p) for ln, n in bins for lp, p in bins if (ln, lp) == (0, 1)]
    expected = np.mean([1.0 if p > n else 0.5 if p == n else 0.0 for n, p in pairs])
    assert area_under_curve(*counts) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (
            b"In the beginning\ncaf\xe9\n",
            r"text\.txt:2: expected UTF-8, got .* 0xe9 at offset 3",
        ),
        (
            b"In the\0beginning\n",
            r":1: expected text, got .* character '\\x00' at character 7",
        ),
        (random.Random(1).randbytes(1_000_000), r":1: expected "),
        ("א".encode() * 8_001 + b"\xff", r":1: expected UTF-8, got the byte 0xff at offset 16002"),
        (b"one\n" + b"Amen. " * 180_000, r":2: expected at most 1,048,576 characters per line\."),
        ("In the\n".encode("utf-16")[:-1], r"text\.txt: cannot be read: .*utf-16"),
    ],
    ids=["latin 1", "zero byte", "random", "far in a line", "long line", "half a sign"],
)
def test_what_is_no_text_is_refused_before_anything_is_scored(tmp_path, content, what):
    (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(UserError, match=what):
        scoring.score_text(tmp_path / "no model", tmp_path / "text.txt")


def test_text_in_utf_16_is_read_as_well(tmp_path):
    text = "\n".join(_chapters(3)) + "\n"
    as_utf_8 = _parts_of(tmp_path, text)
    (tmp_path / "text.txt").write_bytes(text.encode("utf-16"))
    assert list(parts(scoring._lines(tmp_path / "text.txt"))) == as_utf_8


def test_long_scoring_shows_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(scoring, "_PROGRESS_AFTER", 0)
    assert list(scoring._with_progress(["ab", "c"], len, 3, "character")) == ["ab", "c"]
    assert "scored: 100%" in capsys.readouterr().err
    monkeypatch.setattr(scoring, "_PROGRESS_AFTER", 10)
    assert list(scoring._with_progress(["ab", "c"], len, 3, "character")) == ["ab", "c"]
    assert capsys.readouterr().err == ""
