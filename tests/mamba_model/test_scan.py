"""The fast scan against its slow twin, and both against a loop over plain numbers.

Tolerances: float64 1e-10, far above rounding and far below any wrong term; float32 1e-4 of
the largest value, as sums over a few hundred steps and channels are taken in another order.
"""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_model import selective_scan, selective_scan_reference, selective_scan_step

NAMES = ("u", "delta", "A", "B", "C", "D", "initial_state")


def inputs(b=3, l=37, d=5, n=4, dtype=np.float64, seed=0):  # noqa: E741
    random = np.random.default_rng(seed)
    normal = lambda *shape: tf.constant(random.normal(size=shape).astype(dtype))  # noqa: E731
    return (
        normal(b, l, d),
        tf.math.softplus(normal(b, l, d)),
        -tf.exp(normal(d, n)),
        normal(b, l, n),
        normal(b, l, n),
        normal(d),
        normal(b, n, d),
    )


def values_and_gradients(scan, arguments):
    """y, the last state, and the gradient of every input, for a loss that weighs both."""
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        y, state = scan(*arguments, return_last_state=True)
        loss = tf.reduce_sum(tf.sin(y)) + tf.reduce_sum(tf.cos(3 * state))
    return [y, state, *tape.gradient(loss, arguments)]


def assert_same(ours, expected, tolerance):
    for name, a, b in zip(("y", "last state", *NAMES), ours, expected, strict=True):
        scale = max(1.0, float(tf.reduce_max(tf.abs(b))))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=name)


def test_reference_is_the_recurrence_written_out_for_single_numbers():
    u, delta, A, B, C, D, h0 = (np.array(x) for x in inputs(b=2, l=7, d=3, n=4))
    y, state = selective_scan_reference(u, delta, A, B, C, D, h0, return_last_state=True)
    for i in range(2):
        for j in range(3):
            h = [h0[i, k, j] for k in range(4)]
            for t in range(7):
                h = [
                    math.exp(delta[i, t, j] * A[j, k]) * h[k]
                    + delta[i, t, j] * B[i, t, k] * u[i, t, j]
                    for k in range(4)
                ]
                expected = sum(C[i, t, k] * h[k] for k in range(4)) + D[j] * u[i, t, j]
                assert y[i, t, j].numpy() == pytest.approx(expected, abs=1e-12)
            np.testing.assert_allclose(state[i, :, j], h, atol=1e-12)


@pytest.mark.parametrize("xla", [False, True], ids=["plain", "xla"])
@pytest.mark.parametrize(("length", "chunk"), [(1, 32), (37, 32), (64, 32), (61, 7)])
def test_scan_matches_reference_in_values_and_every_gradient(length, chunk, xla):
    arguments = inputs(l=length)
    ours = tf.function(
        lambda *x: values_and_gradients(
            lambda *a, **k: selective_scan(*a, **k, chunk=chunk), list(x)
        ),
        jit_compile=xla,
        autograph=False,
    )
    expected = values_and_gradients(selective_scan_reference, list(arguments))
    assert_same(ours(*arguments), expected, 1e-10)


@tf.function(
    autograph=False,
    input_signature=[
        tf.TensorSpec((None, None, 3), tf.float64),
        tf.TensorSpec((None, None, 3), tf.float64),
        tf.TensorSpec((3, 2), tf.float64),
        tf.TensorSpec((None, None, 2), tf.float64),
        tf.TensorSpec((None, None, 2), tf.float64),
        tf.TensorSpec((3,), tf.float64),
        tf.TensorSpec((None, 2, 3), tf.float64),
    ],
)
def dynamic_scan(*arguments):
    return values_and_gradients(selective_scan, list(arguments))


@settings(max_examples=15, deadline=None)
@given(b=st.integers(1, 5), l=st.integers(1, 80), seed=st.integers(0, 2**16))
def test_one_graph_serves_any_batch_and_length(b, l, seed):  # noqa: E741
    arguments = inputs(b, l, 3, 2, seed=seed)
    expected = values_and_gradients(selective_scan_reference, list(arguments))
    assert_same(dynamic_scan(*arguments), expected, 1e-10)


@settings(max_examples=10, deadline=None)
@given(cut=st.integers(1, 69), seed=st.integers(0, 2**16))
def test_splitting_anywhere_and_carrying_the_state_changes_nothing(cut, seed):
    u, delta, A, B, C, D, h0 = inputs(2, 70, 3, 2, seed=seed)
    whole, last = selective_scan(u, delta, A, B, C, D, h0, return_last_state=True)
    left, state = selective_scan(
        u[:, :cut], delta[:, :cut], A, B[:, :cut], C[:, :cut], D, h0, return_last_state=True
    )
    right, state = selective_scan(
        u[:, cut:], delta[:, cut:], A, B[:, cut:], C[:, cut:], D, state, return_last_state=True
    )
    np.testing.assert_allclose(tf.concat([left, right], 1), whole, atol=1e-12)
    np.testing.assert_allclose(state, last, atol=1e-12)


def test_steps_one_by_one_are_the_scan():
    u, delta, A, B, C, D, state = inputs(l=9)
    y, last = selective_scan(u, delta, A, B, C, D, state, return_last_state=True)
    for t in range(9):
        y_t, state = selective_scan_step(u[:, t], delta[:, t], A, B[:, t], C[:, t], D, state)
        np.testing.assert_allclose(y_t, y[:, t], atol=1e-12)
    np.testing.assert_allclose(state, last, atol=1e-12)


def test_without_an_initial_state_it_starts_from_zeros():
    *arguments, h0 = inputs()
    zeros = tf.zeros_like(h0)
    np.testing.assert_array_equal(selective_scan(*arguments), selective_scan(*arguments, zeros))


def test_zero_delta_passes_the_state_on_unchanged():
    u, delta, A, B, C, D, h0 = inputs()
    _, last = selective_scan(u, tf.zeros_like(delta), A, B, C, D, h0, return_last_state=True)
    np.testing.assert_array_equal(last, h0)


def test_float32_stays_close_to_float64_over_a_long_text():
    exact = inputs(b=2, l=1013, d=3, n=4)
    single = [tf.cast(x, tf.float32) for x in exact]
    run = tf.function(
        lambda *x: values_and_gradients(selective_scan, list(x)), jit_compile=True, autograph=False
    )
    assert_same(run(*single), run(*exact), 1e-4)


@pytest.mark.parametrize("size", [1e-8, 50.0])
def test_tiny_and_huge_steps_stay_finite(size):
    u, delta, A, B, C, D, h0 = inputs(l=300, dtype=np.float32)
    out = values_and_gradients(
        tf.function(selective_scan, autograph=False),
        [u, tf.ones_like(delta) * size, A, B, C, D, h0],
    )
    assert all(bool(tf.reduce_all(tf.math.is_finite(x))) for x in out)


def test_sixteen_bit_inputs_keep_a_float32_state():
    exact = inputs(dtype=np.float32)
    half = [tf.cast(x, tf.bfloat16) for x in exact]
    y, state = selective_scan(*half, return_last_state=True)
    assert (y.dtype, state.dtype) == (tf.bfloat16, tf.float32)
    rounded = [tf.cast(x, tf.float32) for x in half]
    _, expected = selective_scan(*rounded, return_last_state=True)
    np.testing.assert_array_equal(state, expected)


def test_a_shape_that_disagrees_is_named():
    u, delta, A, B, C, D, h0 = inputs()
    with pytest.raises(ValueError, match=r"axis l of delta must be 37, got shape \(3, 36, 5\)"):
        selective_scan(u, delta[:, 1:], A, B, C, D)
    with pytest.raises(ValueError, match=r"D must have axes \(d\), got shape \(5, 1\)"):
        selective_scan(u, delta, A, B, C, D[:, None])
    with pytest.raises(ValueError, match=r"axis n of initial_state must be 4, got shape \(3, 5,"):
        selective_scan(u, delta, A, B, C, D, tf.transpose(h0, [0, 2, 1]))
