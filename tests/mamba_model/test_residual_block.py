import dataclasses
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from mamba_model import MambaBackbone, NextTokenModel, ResidualBlock, TextClassifier, adamw


@pytest.fixture
def two_ways(config):
    """A bidirectional block, its two mixers of different weights."""
    keras.utils.set_random_seed(8)
    block = ResidualBlock(dataclasses.replace(config, bidirectional=True))
    block.build((None, None, config.d_model))
    return block


def text(b, l, d, seed=0):  # noqa: E741
    return tf.constant(np.random.default_rng(seed).normal(size=(b, l, d)), tf.float32)


def test_a_bidirectional_block_adds_what_a_second_mixer_reads_from_the_end(two_ways, config):
    x = text(2, 9, config.d_model)
    forward = ResidualBlock(config)
    forward.build((None, None, config.d_model))
    forward.norm.set_weights(two_ways.norm.get_weights())

    def branch(mixer, x):
        forward.mixer.set_weights(mixer.get_weights())
        return (forward(x) - x).numpy()

    expected = x + branch(two_ways.mixer, x)
    expected += branch(two_ways.reverse_mixer, x[:, ::-1])[:, ::-1]
    np.testing.assert_allclose(two_ways(x), expected, atol=1e-6)
    assert len(two_ways.reverse_mixer.weights) == len(two_ways.mixer.weights) == 9


def test_each_position_of_a_bidirectional_block_sees_every_other(two_ways, config):
    x = text(1, 8, config.d_model)
    for position in (0, 3, 7):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(two_ways(x)[:, position] ** 2)
        assert (np.abs(tape.gradient(y, x)).max(axis=2) > 0).all()


def test_padding_changes_neither_direction(two_ways, config):
    x = text(3, 9, config.d_model) * 3
    mask = np.zeros((3, 9), bool)
    spans = [(0, 9), (0, 4), (2, 7)]  # whole, padded on the right, on both sides
    for row, (start, stop) in enumerate(spans):
        mask[row, start:stop] = True
    variables = two_ways.trainable_variables

    def run(x, mask, spans):
        with tf.GradientTape() as tape:
            y = two_ways(x, mask=mask)
            real = [y[row, start:stop] for row, (start, stop) in enumerate(spans)]
            loss = sum(tf.reduce_sum(tf.sin(part)) for part in real)
        return real, tape.gradient(loss, variables)

    real, gradients = run(x, mask, spans)
    alone = [run(x[i : i + 1, a:b], None, [(0, b - a)]) for i, (a, b) in enumerate(spans)]
    for ours, (expected, _) in zip(real, alone, strict=True):
        np.testing.assert_allclose(ours, expected[0], atol=1e-5)
    for v, ours, *expected in zip(variables, gradients, *(g for _, g in alone), strict=True):
        np.testing.assert_allclose(ours, sum(expected), atol=2e-5, err_msg=v.path)


def test_compiled_with_xla_both_directions_give_the_same(two_ways, config):
    x, mask = text(2, 9, config.d_model), tf.sequence_mask([9, 4], 9)
    compiled = tf.function(lambda x: two_ways(x, mask=mask), jit_compile=True, autograph=False)
    np.testing.assert_allclose(compiled(x)[1, :4], two_ways(x, mask=mask)[1, :4], atol=1e-6)


def test_what_needs_a_state_refuses_a_bidirectional_model(config):
    config = dataclasses.replace(config, bidirectional=True)
    backbone = MambaBackbone(config, name="both")
    tokens = np.ones((2, 5), np.int32)
    message = "bidirectional is True, and a bidirectional model can neither continue from a state"
    for ask in (
        lambda: backbone(tokens, return_state=True),
        lambda: backbone.initial_state(2),
        lambda: backbone.stepper(),
    ):
        with pytest.raises(ValueError, match=message):
            ask()
    with pytest.raises(ValueError, match=r"each position would see the token it has to predict"):
        NextTokenModel(config)


DROPOUT = {"embedding_dropout": 0.2, "residual_dropout": 0.3, "output_dropout": 0.2}


@pytest.mark.parametrize("classes", [None, 3])
def test_recomputing_blocks_changes_no_gradient_with_dropout_on(classes, config, genesis):
    tokens = genesis[: 3 * 8].reshape(3, 8)
    y = np.array([0, 1, 2]) if classes else tokens
    gradients = []
    for recompute in (False, True):
        keras.utils.set_random_seed(2)
        changed = dataclasses.replace(
            config, recompute_blocks=recompute, bidirectional=bool(classes), **DROPOUT
        )
        model = TextClassifier(changed, classes) if classes else NextTokenModel(changed)
        model.compile(adamw(1e-3), run_eagerly=True)
        weights, seeds = (
            [tf.convert_to_tensor(v) for v in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        assert len(seeds) == 4
        gradients.append(model._gradients((tokens, y, None), weights, seeds)[0])
    for v, plain, recomputed in zip(model.trainable_variables, *gradients, strict=True):
        largest = np.abs(plain).max()
        np.testing.assert_allclose(recomputed, plain, atol=1e-5 * largest, err_msg=v.path)
        assert largest > 0


def test_recomputing_blocks_passes_the_state_and_its_gradient_on(config):
    keras.utils.set_random_seed(2)
    config = dataclasses.replace(config, residual_dropout=0.0)
    block = ResidualBlock(config)
    again = ResidualBlock(dataclasses.replace(config, recompute_blocks=True))
    for each in (block, again):
        each.build((None, None, config.d_model))
    again.set_weights(block.get_weights())
    x = text(2, 6, config.d_model)
    state = (text(2, 3, config.d_inner), tf.transpose(text(2, config.d_inner, 5), [0, 2, 1]))
    results = []
    for each in (block, again):
        with tf.GradientTape() as tape:
            tape.watch((x, state))
            y, after = each(x, state=state, return_state=True, training=True)
            loss = tf.reduce_sum(y**2) + sum(tf.reduce_sum(tf.sin(part)) for part in after)
        sources = (x, *state, *each.trainable_variables)
        results.append([y, *after, *tape.gradient(loss, sources)])
    for plain, recomputed in zip(*results, strict=True):
        np.testing.assert_allclose(recomputed, plain, rtol=1e-5, atol=1e-6)


MEMORY_OF_A_STEP = """
import keras, numpy as np, sys, tensorflow as tf
from mamba_model import MambaConfig, NextTokenModel, adamw
model = NextTokenModel(MambaConfig(vocabulary_size=70, d_model=32, n_layer=4, residual_dropout=0.1,
                                   recompute_blocks=sys.argv[1] == "True"))
model.compile(adamw(1e-3), shards=1)
tokens = np.ones((4, 256), np.int32)
model.fit(tokens, tokens, verbose=0)
"""


@pytest.mark.slow
def test_recomputing_blocks_takes_a_third_less_memory_under_xla(tmp_path):
    """Of four layers. XLA would undo it if it saw that both forward passes are the same."""
    sizes = []
    for recompute in (False, True):
        dump = tmp_path / str(recompute)
        flags = (
            f"--xla_dump_to={dump} --xla_dump_hlo_as_text --xla_dump_hlo_module_re=.*gradients.*"
        )
        subprocess.run(
            [sys.executable, "-c", MEMORY_OF_A_STEP, str(recompute)],
            check=True,
            env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": os.getcwd()},
        )
        (report,) = dump.glob("*buffer-assignment.txt")
        (size,) = re.findall(r"Total bytes used: (\d+)", report.read_text())
        sizes.append(int(size))
    assert sizes[1] < 0.67 * sizes[0], sizes
