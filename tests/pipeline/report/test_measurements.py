"""What RunReport measures, on real texts with a model whose answers are known."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from page_reader import check
from read_corpora import BIBLE, IMDB

from pipeline.presets import preset
from pipeline.report import page
from pipeline.report.inputs import Run
from pipeline.report.measurements import baselines, classification, next_token
from serving.served_model import ServedModel

GOOD, BAD = ("great", "best", "love"), ("bad", "worst", "boring")


class _Words(tf.Module):
    """A score of the second class that rises with good words and falls with bad ones."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        words = tf.strings.split(tf.strings.regex_replace(text, "[^a-z]+", " "))

        def occurrences(of):
            found = tf.reduce_any(words.flat_values[:, None] == tf.constant(of), axis=1)
            return tf.reduce_sum(words.with_flat_values(tf.cast(found, tf.float32)), axis=1)

        second = tf.sigmoid(occurrences(GOOD) - occurrences(BAD) + 0.1)
        return {"scores": tf.stack([1 - second, second], axis=1)}


class _Lengths(tf.Module):
    """Two bits per character; writes the same continuation always."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def score(self, text):
        characters = tf.strings.length(text, unit="UTF8_CHAR")
        return {"bits": 2.0 * tf.cast(characters, tf.float32), "characters": characters}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            *(tf.TensorSpec([None], tf.int32, name=n) for n in ("max_new_tokens", "top_k", "seed")),
            *(
                tf.TensorSpec([None], tf.float32, name=n)
                for n in ("temperature", "top_p", "repetition_penalty")
            ),
        ]
    )
    def serving_default(self, text, *_):
        return {"text": tf.fill(tf.shape(text), " and so on")}


def _served(folder, module, *names):
    tf.saved_model.save(module, str(folder), {name: getattr(module, name) for name in names})
    return ServedModel(folder)


def _run(task, ingested):
    return Run(
        config=dataclasses.asdict(preset(task, "smoke")),
        versions={},
        artifacts={
            "TextExampleGen.examples": ingested.examples.uri,
            "TextExampleGen.records": ingested.records.uri,
        },
    )


@pytest.fixture
def of_reviews(ingest, reviews, write_reviews):
    return _run("imdb", ingest(IMDB, write_reviews(reviews)))


def test_a_classifiers_mistakes_are_counted_and_its_words_weighed(of_reviews, tmp_path):
    found = classification.measure(of_reviews, _served(tmp_path / "1", _Words(), "serving_default"))
    confusion = np.array(found["confusion"])
    assert confusion.sum() == found["count"] > 20
    assert confusion[0, 0] and confusion[1, 1]
    labels = [each["label"] for each in found["wrong"]]
    assert 0 < len(labels) <= 6
    assert max(labels.count(0), labels.count(1)) <= 3
    scores = [each["score"] for each in found["wrong"]]
    assert scores == sorted(scores, reverse=True)
    for each in found["wrong"]:
        assert each["predicted"] == 1 - each["label"]
        for word, weight in each["words"]:
            towards = {**dict.fromkeys(GOOD, 1), **dict.fromkeys(BAD, 0)}.get(word)
            if towards is None:
                assert weight == pytest.approx(0, abs=1e-4)
            else:
                assert (weight > 0) == (towards == each["predicted"])
    heaviest = {each["words"][0][0] for each in found["wrong"] if each["score"] > 0.6}
    assert heaviest
    assert heaviest <= {*GOOD, *BAD}

    made = page.render(of_reviews.with_measurements({"model": found}))
    assert made.failures == ()
    text = check(made.html).text
    assert "negative, but predicted positive" in text or "positive, but predicted" in text
    assert f"Confusion matrix of {found['count']} texts" in text


def test_baselines_learn_from_split_train_and_are_scored_on_split_eval(of_reviews):
    found = baselines.measure(of_reviews)
    examples = of_reviews.read_json("TextExampleGen.records", "records.json")["examples"]
    assert found["train"]["texts"] == examples["train"]
    assert found["held_out"]["texts"] == examples["eval"]
    assert 0 < found["majority"]["accuracy"] < 1
    assert set(found["tfidf_logistic"]) >= {"accuracy", "macro_f1", "log_loss"}


def test_a_next_token_models_bits_are_summed_by_every_slice(
    ingest, chapters, write_verses, tmp_path
):
    run = _run("bible", ingest(BIBLE, write_verses(chapters[::12])))
    model = _served(tmp_path / "1", _Lengths(), "score", "serving_default")
    found = next_token.measure(run, model)
    assert set(found["slices"]) == {"testament", "book"}
    for slices in found["slices"].values():
        assert sum(texts for *_, texts in slices) == found["count"]
        assert all(bits == 2 * characters for _, bits, characters, _ in slices)
    assert found["samples"][0]["model"] == " and so on"
    known = baselines.measure(run)
    assert known["ngrams"]["bits_per_char"] < known["xz"]["bits_per_char"] < 3
    made = page.render(run.with_measurements({"model": found}))
    assert made.failures == ()
    assert "Bits per character by book" in check(made.html).text
