import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mamba_model import (
    MambaConfig,
    NextTokenModel,
    TextClassifier,
    TextClassifierEnsemble,
    adamw,
)
from mamba_model.models import PADDING


@pytest.fixture
def language(config):
    keras.utils.set_random_seed(2)
    return NextTokenModel(config)


@pytest.fixture
def classifier(config):
    keras.utils.set_random_seed(3)
    return TextClassifier(config, classes=4)


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


def test_a_class_does_not_depend_on_padding_nor_on_other_texts(classifier, genesis):
    lengths = [11, 3, 1]
    tokens = np.zeros((3, 13), np.int32)
    for row, length in enumerate(lengths):
        tokens[row, :length] = genesis[row * 20 :][:length]
    together = classifier(tokens)
    assert together.shape == (3, 4)
    for row, length in enumerate(lengths):
        alone = classifier(tokens[row : row + 1, :length])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("mean", lambda real: real.mean(axis=0)),
        ("max", lambda real: real.max(axis=0)),
        ("last", lambda real: real[-1]),
        ("mean_max", lambda real: np.concatenate([real.mean(axis=0), real.max(axis=0)])),
    ],
)
def test_pooling_takes_real_positions_only(pooling, pool, config, genesis):
    model = TextClassifier(dataclasses.replace(config, pooling=pooling), classes=4)
    lengths = [8, 3, 1]
    tokens = genesis[: 3 * 8].reshape(3, 8) * tf.sequence_mask(lengths, 8, tf.int32)
    features = model.backbone(tokens).numpy()
    kernel, bias = model.head.get_weights()
    expected = [
        [0, *(pool(row[:n]) @ kernel + bias)] for row, n in zip(features, lengths, strict=True)
    ]
    np.testing.assert_allclose(model(tokens), expected, atol=1e-6)
    np.testing.assert_array_equal(model(np.zeros((2, 5), np.int32)), np.zeros((2, 4)))


def test_a_bidirectional_model_reads_from_both_ends(config, genesis):
    """With the last position alone pooled, only the first direction can tell texts apart."""
    tokens = np.tile(genesis[:9], (2, 1))
    tokens[1, 0] += 1
    for bidirectional in (False, True):
        model = TextClassifier(dataclasses.replace(config, bidirectional=bidirectional), 4)
        first_feature = model.backbone(tokens[:, ::-1])[:, 0].numpy()
        assert (first_feature[0] != first_feature[1]).any() == bidirectional
        padded = np.pad(tokens, [(0, 0), (0, 3)])
        np.testing.assert_allclose(model(padded), model(tokens), atol=1e-6)


def test_a_text_of_padding_alone_gets_the_bias_of_the_head(classifier):
    classifier.head.bias.assign([0.25, -1, 3])
    logits = classifier(np.zeros((2, 5), np.int32))
    np.testing.assert_array_equal(logits, [[0, 0.25, -1, 3]] * 2)


def test_word_dropout_drops_whole_tokens(genesis):
    model = TextClassifier(MambaConfig(vocabulary_size=70, d_model=12, word_dropout=0.5), 2)
    embedded = model.backbone.embedding(genesis[None, :200])
    dropped = model.backbone.word_dropout(embedded, training=True).numpy()[0]
    gone = (dropped == 0).all(axis=-1)
    assert 0.35 < gone.mean() < 0.65
    np.testing.assert_allclose(dropped[~gone], 2 * embedded[0][~gone], rtol=1e-6)


def test_dropout_under_xla_is_set_by_the_seed_and_moves_on_with_each_step(config, genesis):
    config = dataclasses.replace(
        config, n_layer=1, word_dropout=0.2, residual_dropout=0.2, pooled_dropout=0.5
    )
    tokens = genesis[: 4 * 9].reshape(4, 9)

    def make(seed):
        keras.utils.set_random_seed(seed)
        model = TextClassifier(config, classes=3)
        return model, [tf.convert_to_tensor(v) for v in model.non_trainable_variables]

    def compiled(model):
        weights = [tf.convert_to_tensor(v) for v in model.trainable_variables]
        call = lambda seeds: model.stateless_call(weights, seeds, tokens, training=True)  # noqa: E731
        return tf.function(call, jit_compile=True, autograph=False)

    (model, seeds), (again, same_seeds), (_, other_seeds) = make(4), make(4), make(5)
    run = compiled(model)
    logits, next_seeds = run(seeds)
    np.testing.assert_array_equal(run(seeds)[0], logits)
    np.testing.assert_array_equal(compiled(again)(same_seeds)[0], logits)
    for others in (next_seeds, other_seeds):
        assert (run(others)[0] != logits).numpy()[:, 1:].all()


def test_an_ensemble_answers_by_the_mean_of_its_members(config, genesis):
    model = TextClassifierEnsemble(config, classes=5, members=3)
    tokens = genesis[: 4 * 9].reshape(4, 9)
    of_members = [member(tokens).numpy() for member in model.members]
    assert len({logits.tobytes() for logits in of_members}) == 3
    assert model(tokens).shape == (4, 5)
    assert model(tokens, training=True).shape == (4, 3, 5)
    np.testing.assert_allclose(model(tokens), np.mean(of_members, axis=0), atol=1e-6)
    parts = [member.embed(tokens) for member in model.members]
    np.testing.assert_array_equal(model.embed(tokens), np.concatenate(parts, axis=1))

    copy = TextClassifierEnsemble.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(tokens), model(tokens))


def test_members_of_an_ensemble_learn_as_if_alone(config, genesis):
    tokens, labels = tf.constant(genesis[: 4 * 9].reshape(4, 9)), tf.constant([0, 2, 1, 0])
    model = TextClassifierEnsemble(config, classes=3, members=2)
    alone = [TextClassifier(config, classes=3) for _ in model.members]
    for each, member in zip(alone, model.members, strict=True):
        each.set_weights(member.get_weights())
    losses = []
    for each, rate in ((model, 2.0), *((each, 1.0) for each in alone)):
        each.compile(keras.optimizers.SGD(rate), run_eagerly=True, label_smoothing=0.1)
        losses.append(float(each.train_step((tokens, labels))["loss"]))
    assert losses[0] == pytest.approx(np.mean(losses[1:]), rel=1e-5)
    for each, member in zip(alone, model.members, strict=True):
        for ours, expected in zip(member.weights, each.weights, strict=True):
            np.testing.assert_allclose(ours, expected, atol=1e-5, err_msg=ours.path)


@pytest.mark.parametrize(
    "make",
    [
        NextTokenModel,
        lambda config: TextClassifier(
            dataclasses.replace(config, bidirectional=True, pooling="mean"), classes=3
        ),
        lambda config: TextClassifierEnsemble(config, classes=3, members=2),
    ],
    ids=["next token", "classifier", "ensemble"],
)
def test_a_saved_model_gives_the_same_output_and_goes_on_training(make, config, genesis, tmp_path):
    model = make(config)
    tokens = genesis[: 4 * 9].reshape(4, 9)
    language = isinstance(model, NextTokenModel)
    targets = tokens if language else np.array([0, 2, 1, 0])
    weights = None if language else [0.5, 1, 2]
    model.compile(adamw(1e-2), run_eagerly=True, class_weights=weights)
    model.fit(tokens, targets, verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    assert copy.config == model.config
    assert copy.class_weights == weights
    np.testing.assert_array_equal(copy(tokens), model(tokens))
    for each in (model, copy):
        each.run_eagerly = True
        each.fit(tokens, targets, shuffle=False, verbose=0)
    for ours, expected in zip(copy.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, expected, err_msg=ours.path)


def test_weights_exist_from_construction(config):
    assert NextTokenModel(config).count_params() > 70 * 12


def test_half_precision_gives_float32_logits_near_those_of_float32(config, genesis):
    model, half = NextTokenModel(config), NextTokenModel(config, dtype="mixed_bfloat16")
    half.set_weights(model.get_weights())
    tokens = genesis[: 2 * 32].reshape(2, 32)
    expected = model(tokens).numpy()
    assert half(tokens).dtype == tf.float32
    np.testing.assert_allclose(half(tokens), expected, atol=0.05 * np.abs(expected).max())
    assert {v.dtype for v in half.trainable_variables} == {"float32"}


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="GPUs multiply bfloat16")
@pytest.mark.parametrize("model", [NextTokenModel, functools.partial(TextClassifier, classes=3)])
def test_without_a_gpu_no_product_is_in_bfloat16_which_cpus_with_amx_refuse(config, model, genesis):
    model = model(config, dtype="mixed_bfloat16")
    tokens = tf.constant(genesis[: 5 * 273].reshape(5, 273))

    @tf.function
    def gradients(tokens):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(tokens))
        return tape.gradient(loss, model.trainable_variables)

    graph = gradients.get_concrete_function(tokens).graph.as_graph_def()
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    products = [node for node in nodes if "MatMul" in node.op]
    assert products and {node.attr["T"].type for node in products} == {tf.float32.as_datatype_enum}


@pytest.mark.slow
def test_half_precision_trains_on_real_text_as_float32_does(config, genesis):
    tokens, targets = genesis[: 4 * 32].reshape(4, 32), genesis[1 : 4 * 32 + 1].reshape(4, 32)
    losses = {}
    for policy in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(1)
        model = NextTokenModel(dataclasses.replace(config, n_layer=1), dtype=policy)
        model.compile(adamw(1e-2))
        losses[policy] = model.fit(tokens, targets, epochs=8, verbose=0).history["loss"]
    np.testing.assert_allclose(losses["mixed_bfloat16"], losses["float32"], rtol=0.01)
    assert losses["mixed_bfloat16"][-1] < losses["mixed_bfloat16"][0] - 0.2
