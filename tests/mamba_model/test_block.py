import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_model import MambaBackbone, MambaBlock, MambaConfig, ResidualBlock
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


def test_the_embedding_starts_normal_with_its_published_deviation():
    backbone = MambaBackbone(MambaConfig(vocabulary_size=400, d_model=64))
    backbone.build((None, None))
    values = backbone.embedding.embeddings.numpy().ravel()
    assert abs(values.std() - 0.02) < 0.0004 and abs(values.mean()) < 0.0005
    assert 0.66 < (np.abs(values) < 0.02).mean() < 0.70


def test_D_and_the_norms_start_as_ones(config):
    backbone = MambaBackbone(config)
    backbone.build((None, None))
    ones = [backbone.norm.scale, backbone.blocks[1].norm.scale, backbone.blocks[1].mixer.D]
    assert all((v.numpy() == 1).all() for v in ones)


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


@settings(max_examples=10, deadline=None)
@given(l=st.integers(1, 12), d_conv=st.integers(1, 5), d_state=st.integers(1, 4), data=st.data())
def test_a_position_sees_itself_and_what_is_before_it_and_nothing_after(l, d_conv, d_state, data):  # noqa: E741
    keras.utils.set_random_seed(l)
    block = MambaBlock(MambaConfig(vocabulary_size=9, d_model=6, d_conv=d_conv, d_state=d_state))
    position = data.draw(st.integers(0, l - 1))
    x = text(2, l, 6)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(block(x)[:, position] ** 2)
    seen = np.abs(tape.gradient(y, x)).max(axis=2)  # (2, l)
    assert (seen[:, : position + 1] > 0).all()
    assert (seen[:, position + 1 :] == 0).all()
    changed = tf.concat([x[:, : position + 1], 9 + x[:, position + 1 :]], axis=1)
    np.testing.assert_array_equal(block(x)[:, : position + 1], block(changed)[:, : position + 1])


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
    step = block.stepper()
    for t in range(2, 7):
        y, state = step(x[:, t], state)
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


@settings(max_examples=10, deadline=None)
@given(left=st.integers(0, 5), length=st.integers(1, 7), right=st.integers(0, 5))
def test_padding_on_either_side_changes_no_output_no_gradient_and_no_state(left, length, right):
    """Padding on the left only for a text that starts without a state."""
    keras.utils.set_random_seed(5)
    block = MambaBlock(MambaConfig(vocabulary_size=9, d_model=6, d_state=3))
    block.build((None, None, 6))
    alone = text(2, length, 6)
    ends = [text(2, n, 6, seed=1) * 100 for n in (left, right)]
    padded = tf.concat([ends[0], alone, ends[1]], axis=1)
    mask = np.zeros((2, left + length + right), bool)
    mask[:, left : left + length] = True

    def run(x, mask, real):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y, (conv, ssm) = block(x, mask=mask, return_state=True)
            loss = sum(tf.reduce_sum(tf.sin(part)) for part in (y[:, real], conv, ssm))
        of_x, *of_weights = tape.gradient(loss, [x, *block.trainable_variables])
        return y[:, real], conv, ssm, of_x[:, real], *of_weights

    ours = run(padded, mask, slice(left, left + length))
    for a, b in zip(ours, run(alone, None, slice(0, length)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("make", [MambaBlock, ResidualBlock, MambaBackbone])
def test_a_layer_is_saved_and_rebuilt(make, bidirectional, config, tmp_path):
    config = dataclasses.replace(config, bidirectional=bidirectional)
    layer = make(config, name="here")
    x = np.arange(2 * 7).reshape(2, 7) if make is MambaBackbone else text(2, 7, config.d_model)
    inputs = keras.Input((None, *x.shape[2:]), dtype=x.dtype)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    whole = keras.models.load_model(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert np.abs(fresh(x) - layer(x)).max() > 0
    inputs = keras.Input((None, *x.shape[2:]), dtype=x.dtype)
    keras.Model(inputs, fresh(inputs)).load_weights(tmp_path / "model.weights.h5")
    for copy in (whole.get_layer("here"), fresh):
        assert (type(copy), copy.config, copy.name) == (make, config, "here")
        np.testing.assert_array_equal(copy(x), layer(x))


@pytest.mark.parametrize("initializer", [LogDecay(), DeltaBias(1e-3, 0.1, 1e-4, seed=3)])
def test_an_initializer_is_rebuilt_from_its_config(initializer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(initializer))
    np.testing.assert_array_equal(copy((6, 5)), initializer((6, 5)))


def test_half_precision_keeps_residuals_state_and_delta_in_float32(config):
    block = ResidualBlock(config, dtype="mixed_bfloat16")
    y, (conv, ssm) = block(text(2, 6, config.d_model), return_state=True)
    assert (y.dtype, conv.dtype, ssm.dtype) == (tf.float32, tf.bfloat16, tf.float32)
    assert block.mixer(y).dtype == tf.bfloat16
    assert block.mixer.dt_proj.compute_dtype == "float32"
    # A state that goes in comes out to the last bit where nothing is added to it.
    fine = ssm + 2.0**-20
    padding = np.zeros((2, 6), bool)
    _, (_, after) = block(y, mask=padding, state=(conv, fine), return_state=True)
    np.testing.assert_array_equal(after, fine)
