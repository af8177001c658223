import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from mamba_model import MambaBlock, MambaConfig, ResidualBlock
from mamba_model.block import DeltaBias, LogDecay


@pytest.fixture
def block(config):
    keras.utils.set_random_seed(5)
    block = MambaBlock(config)
    block.build((None, None, config.d_model))
    return block


def text(b, l, d, seed=0):  # noqa: E741
    return tf.constant(np.random.default_rng(seed).normal(size=(b, l, d)), tf.float32)


def delta_of(layer):
    return np.log1p(np.exp(layer.dt_proj.bias.numpy()))


def test_delta_starts_spread_log_uniformly_over_its_range():
    keras.utils.set_random_seed(0)
    block = MambaBlock(MambaConfig(vocabulary_size=9, d_model=256))
    block.build((None, None, 256))
    delta = delta_of(block)
    assert delta.min() >= 0.999e-3 and delta.max() <= 0.1001
    deciles = np.quantile(np.log10(delta), [0.1, 0.5, 0.9])
    np.testing.assert_allclose(deciles, [-2.8, -2.0, -1.2], atol=0.12)


def test_delta_keeps_its_initial_values_inside_a_model_and_through_a_compiled_step(genesis):
    """The fault that leaves every delta at softplus(0) = 0.693 shows only there."""
    from mamba_model import NextTokenModel

    model = NextTokenModel(MambaConfig(vocabulary_size=70, d_model=16, n_layer=1))
    delta = delta_of(model.backbone.blocks[0].mixer)
    assert delta.std() > 0.01 and delta.max() <= 0.1001


def test_delta_never_starts_below_its_floor():
    bias = DeltaBias(1e-6, 1e-5, dt_init_floor=1e-4, seed=0)((50,))
    np.testing.assert_allclose(tf.math.softplus(bias), 1e-4, rtol=1e-3)


def test_A_starts_as_minus_one_to_minus_d_state(block, config):
    A = -np.exp(block.A_log.numpy())
    np.testing.assert_allclose(A, np.tile([-1, -2, -3, -4, -5], (config.d_inner, 1)), rtol=1e-6)


def test_projections_start_within_their_published_bounds():
    config = MambaConfig(vocabulary_size=9, d_model=64, n_layer=9)
    block = MambaBlock(config)
    block.build((None, None, 64))
    for weight, bound in [
        (block.in_proj.kernel, 1 / math.sqrt(64)),
        (block.x_proj.kernel, 1 / math.sqrt(128)),
        (block.dt_proj.kernel, 1 / math.sqrt(4)),
        (block.out_proj.kernel, 1 / math.sqrt(128 * 9)),  # rescaled for 9 layers
        (block.conv_kernel, 1 / math.sqrt(4)),
        (block.conv_bias, 1 / math.sqrt(4)),
    ]:
        largest = np.abs(weight.numpy()).max()
        assert 0.93 * bound < largest <= bound, weight.path


def test_block_matches_its_formula_in_numpy(block, config):
    """An independent forward pass, from the paper's figure 3, on plain arrays."""
    x = text(2, 6, config.d_model)
    weight = {v.path.split("/", 1)[-1]: v.numpy().astype(np.float64) for v in block.weights}
    silu = lambda v: v / (1 + np.exp(-v))  # noqa: E731
    inner, gate = np.split(x.numpy() @ weight["in_proj/kernel"], 2, axis=-1)
    convolved = np.zeros_like(inner)
    for t in range(6):
        for j in range(4):
            if t - 3 + j >= 0:
                convolved[:, t] += inner[:, t - 3 + j] * weight["conv_kernel"][j]
    convolved = silu(convolved + weight["conv_bias"])
    projected = convolved @ weight["x_proj/kernel"]
    dt, B, C = projected[..., :3], projected[..., 3:8], projected[..., 8:]
    delta = np.log1p(np.exp(dt @ weight["dt_proj/kernel"] + weight["dt_proj/bias"]))
    A = -np.exp(weight["A_log"])
    h = np.zeros((2, config.d_inner, config.d_state))
    y = np.zeros_like(convolved)
    for t in range(6):
        step = delta[:, t, :, None]
        h = np.exp(step * A) * h + step * convolved[:, t, :, None] * B[:, t, None, :]
        y[:, t] = (h * C[:, t, None, :]).sum(-1) + weight["D"] * convolved[:, t]
    expected = (y * silu(gate)) @ weight["out_proj/kernel"]
    np.testing.assert_allclose(block(x), expected, atol=1e-6)


def test_a_position_sees_nothing_after_it(block, config):
    x = text(2, 11, config.d_model)
    changed = tf.concat([x[:, :7], 9 + x[:, 7:]], axis=1)
    np.testing.assert_array_equal(block(x)[:, :7], block(changed)[:, :7])
    assert np.abs(block(x)[:, 7:] - block(changed)[:, 7:]).min() > 0


@pytest.mark.parametrize("cut", [1, 2, 5, 10])
def test_a_window_goes_on_from_the_state_of_the_one_before(block, config, cut):
    x = text(3, 11, config.d_model)
    whole, end = block(x, return_state=True)
    left, state = block(x[:, :cut], return_state=True)
    right, state = block(x[:, cut:], state=state, return_state=True)
    np.testing.assert_allclose(tf.concat([left, right], 1), whole, atol=1e-6)
    for ours, expected in zip(state, end, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_steps_token_by_token_are_the_parallel_pass(block, config):
    x = text(3, 7, config.d_model)
    whole, end = block(x, return_state=True)
    _, state = block(x[:, :2], return_state=True)
    for t in range(2, 7):
        y, state = block.step(x[:, t], state)
        np.testing.assert_allclose(y, whole[:, t], atol=1e-6)
    np.testing.assert_allclose(state[1], end[1], atol=1e-6)


def test_padding_on_the_right_changes_no_real_position_and_no_state(block, config):
    lengths = [9, 1, 4, 0]
    x = text(4, 9, config.d_model)
    mask = tf.sequence_mask(lengths, 9)
    before, _ = block(text(4, 5, config.d_model, seed=1), return_state=True)
    _, carried = block(before, return_state=True)
    padded, (conv, ssm) = block(x, mask=mask, state=carried, return_state=True)
    for row, length in enumerate(lengths):
        own = tuple(part[row : row + 1] for part in carried)
        if length == 0:
            alone, alone_state = padded[row : row + 1, :0], own
        else:
            alone, alone_state = block(x[row : row + 1, :length], state=own, return_state=True)
        np.testing.assert_allclose(padded[row, :length], alone[0], atol=1e-6)
        np.testing.assert_allclose(conv[row], alone_state[0][0], atol=1e-6)
        np.testing.assert_allclose(ssm[row], alone_state[1][0], atol=1e-6)


def test_padding_on_the_right_changes_no_gradient(block, config):
    x = text(1, 9, config.d_model)
    mask = tf.sequence_mask([5], 9)

    def gradients(x, mask):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(block(x, mask=mask)[:, :5]))
        return tape.gradient(loss, block.trainable_variables)

    for ours, expected in zip(gradients(x, mask), gradients(x[:, :5], None), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


@pytest.mark.parametrize("make", [MambaBlock, ResidualBlock])
def test_a_layer_is_rebuilt_from_its_config(make, config):
    layer = make(config, name="here")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (type(copy), copy.config, copy.name) == (make, config, "here")


@pytest.mark.parametrize("initializer", [LogDecay(), DeltaBias(1e-3, 0.1, 1e-4, seed=3)])
def test_an_initializer_is_rebuilt_from_its_config(initializer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(initializer))
    np.testing.assert_array_equal(copy((6, 5)), initializer((6, 5)))


def test_half_precision_keeps_the_state_and_delta_in_float32(config):
    block = ResidualBlock(config, dtype="mixed_bfloat16")
    y, (conv, ssm) = block(text(2, 6, config.d_model), return_state=True)
    assert (y.dtype, conv.dtype, ssm.dtype) == (tf.bfloat16, tf.bfloat16, tf.float32)
    assert block.mixer.dt_proj.compute_dtype == "float32"
