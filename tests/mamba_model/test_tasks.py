import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from mamba_model import MambaConfig, NextTokenModel, SentimentModel, adamw
from mamba_model.tasks import PADDING


@pytest.fixture
def language(config):
    keras.utils.set_random_seed(2)
    return NextTokenModel(config)


@pytest.fixture
def sentiment(config):
    keras.utils.set_random_seed(3)
    return SentimentModel(config)


def test_logits_are_tied_to_the_embedding(language, genesis):
    tokens = genesis[None, :9]
    features = language.backbone(tokens)
    table = language.backbone.embedding.embeddings.numpy()
    np.testing.assert_allclose(language(tokens), features.numpy() @ table.T, atol=1e-6)
    assert sum(v.shape == (70, 12) for v in language.weights) == 1


def test_a_long_text_in_windows_scores_as_in_one(language, genesis):
    tokens = genesis[: 2 * 45].reshape(2, 45)
    whole = language(tokens)
    state = language.backbone.initial_state(2)
    parts = []
    for window in np.split(tokens, [7, 8, 30], axis=1):
        logits, state = language(window, state=state, return_state=True)
        parts.append(logits)
    np.testing.assert_allclose(tf.concat(parts, 1), whole, atol=1e-5)
    assert [tuple(part.shape) for part in state] == [(2, 2, 3, 24), (2, 2, 5, 24)]


def test_padding_targets_count_neither_in_loss_nor_accuracy(language, genesis):
    tokens, targets = genesis[None, :8], genesis[None, 1:9].copy()
    targets[0, 5:] = PADDING
    language.compile(adamw(1e-3), run_eagerly=True)
    measured = language.evaluate(tokens, targets, verbose=0, return_dict=True)
    logits = language(tokens)[:, :5]
    log_p = np.take_along_axis(tf.nn.log_softmax(logits).numpy(), targets[:, :5, None], 2)
    assert measured["loss"] == pytest.approx(-log_p.mean(), rel=1e-5)
    hits = np.argmax(logits, -1) == targets[:, :5]
    assert measured["accuracy"] == pytest.approx(hits.mean())


def test_sentiment_does_not_depend_on_padding_nor_on_its_neighbours(sentiment, genesis):
    lengths = [11, 3, 1]
    tokens = np.zeros((3, 13), np.int32)
    for row, length in enumerate(lengths):
        tokens[row, :length] = genesis[row * 20 :][:length]
    together = sentiment(tokens)
    assert together.shape == (3,)
    for row, length in enumerate(lengths):
        alone = sentiment(tokens[row : row + 1, :length])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-6)


def test_a_text_of_padding_alone_gets_the_bias_of_the_head(sentiment):
    sentiment.head.bias.assign([0.25])
    np.testing.assert_array_equal(sentiment(np.zeros((2, 5), np.int32)), [0.25, 0.25])


def test_word_dropout_drops_whole_tokens(genesis):
    model = SentimentModel(MambaConfig(vocabulary_size=70, d_model=12, word_dropout=0.5))
    embedded = model.backbone.embedding(genesis[None, :200])
    dropped = model.backbone.word_dropout(embedded, training=True).numpy()[0]
    gone = (dropped == 0).all(axis=-1)
    assert 0.35 < gone.mean() < 0.65
    np.testing.assert_allclose(dropped[~gone], 2 * embedded[0][~gone], rtol=1e-6)


@pytest.mark.parametrize("make", [NextTokenModel, SentimentModel])
def test_a_saved_model_gives_the_same_output_and_goes_on_training(make, config, genesis, tmp_path):
    model = make(config)
    tokens = genesis[: 4 * 9].reshape(4, 9)
    targets = tokens if make is NextTokenModel else np.array([0, 1, 1, 0])
    model.compile(adamw(1e-2), run_eagerly=True)
    model.fit(tokens, targets, verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    assert copy.config == config
    np.testing.assert_array_equal(copy(tokens), model(tokens))
    for each in (model, copy):
        each.run_eagerly = True
        each.fit(tokens, targets, shuffle=False, verbose=0)
    for ours, expected in zip(copy.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, expected, err_msg=ours.path)


def test_weights_exist_from_construction(config):
    assert NextTokenModel(config).count_params() > 70 * 12


def test_half_precision_trains_and_stays_finite(config, genesis):
    model = NextTokenModel(dataclasses.replace(config, n_layer=1), dtype="mixed_bfloat16")
    tokens = genesis[: 4 * 9].reshape(4, 9)
    model.compile(adamw(1e-2))
    history = model.fit(tokens, np.roll(tokens, -1, 1), epochs=3, verbose=0).history["loss"]
    assert model(tokens).dtype == tf.float32
    assert np.isfinite(history).all() and history[-1] < history[0]
