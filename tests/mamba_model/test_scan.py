"""Compares the scan with its reference, its derivatives, and a loop over plain numbers.

It runs in three ways: as plain loops, compiled by XLA, and natively in C++ (which is float32
and under XLA only). Tolerances are shares of an array's largest value: 1e-10 in float64, far
above rounding and far below any wrong term; 1e-5 in float32, over a thousand steps too, as
sums over steps and channels are taken in another order.
"""

import contextlib
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_model import selective_scan, selective_scan_reference, selective_scan_step
from mamba_model.native_scan import native_scan

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "initial_state")


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
        normal(b, l, d),
        normal(b, n, d),
    )


def compiled(way, function):
    """`function` of arrays, run in one of the three ways."""

    def traced(*arguments):
        with native_scan() if way == "native" else contextlib.nullcontext():
            return function(*arguments)

    return tf.function(traced, jit_compile=way != "plain", autograph=False)


native = pytest.param("native", marks=pytest.mark.needs_compiler)
ways = pytest.mark.parametrize("way", ["plain", "xla", native])


def values_and_gradients(scan, arguments):
    """y, the last state, and the gradient of every input, given some gradient of y and state."""
    waves = lambda x: tf.reshape(tf.sin(tf.range(tf.size(x), dtype=x.dtype)), tf.shape(x))  # noqa: E731
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        outputs = scan(*arguments, return_last_state=True)
    return [*outputs, *tape.gradient(outputs, arguments, [waves(x) for x in outputs])]


def assert_same(ours, expected, tolerance):
    for name, a, b in zip(("y", "last state", *NAMES), ours, expected, strict=True):
        scale = max(1.0, float(tf.reduce_max(tf.abs(b))))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=name)


def test_reference_is_the_recurrence_written_out_for_single_numbers():
    arguments = [np.array(x) for x in inputs(b=2, l=7, d=3, n=4)]
    u, delta, A, B, C, D, z, h0 = arguments
    y, state = selective_scan_reference(*arguments, return_last_state=True)
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
                expected *= z[i, t, j] / (1 + math.exp(-z[i, t, j]))
                assert y[i, t, j].numpy() == pytest.approx(expected, abs=1e-12)
            np.testing.assert_allclose(state[i, :, j], h, atol=1e-12)


@pytest.mark.parametrize("way", ["plain", "xla"])
@pytest.mark.parametrize(("length", "chunk"), [(1, 32), (37, 32), (64, 32), (61, 7)])
def test_scan_matches_reference_in_values_and_every_gradient(length, chunk, way):
    arguments = inputs(l=length)
    ours = compiled(
        way,
        lambda *x: values_and_gradients(
            lambda *a, **k: selective_scan(*a, **k, chunk=chunk), list(x)
        ),
    )
    expected = values_and_gradients(selective_scan_reference, list(arguments))
    assert_same(ours(*arguments), expected, 1e-10)


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    ("b", "length", "d", "n", "chunk"),
    [(1, 1, 1, 1, 32), (3, 37, 5, 4, 32), (2, 61, 130, 16, 7), (2, 64, 64, 3, 32)],
)
def test_native_scan_matches_reference_at_any_width(b, length, d, n, chunk):
    exact = inputs(b, length, d, n)
    ours = compiled(
        "native",
        lambda *x: values_and_gradients(
            lambda *a, **k: selective_scan(*a, **k, chunk=chunk), list(x)
        ),
    )
    expected = values_and_gradients(selective_scan_reference, list(exact))
    assert_same(ours(*(tf.cast(x, tf.float32) for x in exact)), expected, 1e-5)


def test_gradients_are_the_finite_differences():
    arguments = inputs(b=2, l=5, d=2, n=2)

    def loss(*x):
        y, state = selective_scan(*x, return_last_state=True, chunk=2)
        return tf.reduce_sum(tf.sin(y)) + tf.reduce_sum(tf.cos(3 * state))

    analytic, numeric = tf.test.compute_gradient(loss, list(arguments), delta=1e-6)
    for name, ours, expected in zip(NAMES, analytic, numeric, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-7, err_msg=name)


@tf.function(
    autograph=False,
    input_signature=[
        tf.TensorSpec((None, None, 3), tf.float64),
        tf.TensorSpec((None, None, 3), tf.float64),
        tf.TensorSpec((3, 2), tf.float64),
        tf.TensorSpec((None, None, 2), tf.float64),
        tf.TensorSpec((None, None, 2), tf.float64),
        tf.TensorSpec((3,), tf.float64),
        tf.TensorSpec((None, None, 3), tf.float64),
        tf.TensorSpec((None, 2, 3), tf.float64),
    ],
)
def dynamic_scan(*arguments):
    return values_and_gradients(selective_scan, list(arguments))


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(b=st.integers(1, 5), l=st.integers(1, 80), seed=st.integers(0, 2**16))
def test_one_graph_serves_any_batch_and_length(b, l, seed):  # noqa: E741
    arguments = inputs(b, l, 3, 2, seed=seed)
    expected = values_and_gradients(selective_scan_reference, list(arguments))
    assert_same(dynamic_scan(*arguments), expected, 1e-10)


@settings(max_examples=10, deadline=None)
@given(cut=st.integers(1, 69), seed=st.integers(0, 2**16))
def test_splitting_anywhere_and_carrying_the_state_changes_nothing(cut, seed):
    u, delta, A, B, C, D, z, h0 = inputs(2, 70, 3, 2, seed=seed)
    whole, last = selective_scan(u, delta, A, B, C, D, z, h0, return_last_state=True)

    def part(steps, state):
        of = lambda x: x[:, steps]  # noqa: E731
        return selective_scan(
            of(u), of(delta), A, of(B), of(C), D, of(z), state, return_last_state=True
        )

    left, state = part(slice(0, cut), h0)
    right, state = part(slice(cut, 70), state)
    np.testing.assert_allclose(tf.concat([left, right], 1), whole, atol=1e-12)
    np.testing.assert_allclose(state, last, atol=1e-12)


def test_steps_one_by_one_are_the_scan():
    u, delta, A, B, C, D, z, state = inputs(l=9)
    y, last = selective_scan(u, delta, A, B, C, D, z, state, return_last_state=True)
    for t in range(9):
        y_t, state = selective_scan_step(
            u[:, t], delta[:, t], A, B[:, t], C[:, t], D, state, z[:, t]
        )
        np.testing.assert_allclose(y_t, y[:, t], atol=1e-12)
    np.testing.assert_allclose(state, last, atol=1e-12)


def test_without_an_initial_state_it_starts_from_zeros():
    *arguments, h0 = inputs()
    zeros = tf.zeros_like(h0)
    np.testing.assert_array_equal(selective_scan(*arguments), selective_scan(*arguments, zeros))


def test_zero_delta_passes_the_state_on_unchanged():
    u, delta, *others, h0 = inputs()
    _, last = selective_scan(u, tf.zeros_like(delta), *others, h0, return_last_state=True)
    np.testing.assert_array_equal(last, h0)


def test_no_output_depends_on_a_later_input():
    arguments = inputs(l=40)
    cut = 23
    changed = [
        tf.concat([x[:, :cut], x[:, cut:] + 1], 1) if name in ("u", "delta", "B", "C", "z") else x
        for name, x in zip(NAMES, arguments, strict=True)
    ]
    before, after = selective_scan(*arguments), selective_scan(*changed)
    np.testing.assert_array_equal(before[:, :cut], after[:, :cut])
    assert np.all(np.asarray(before[:, cut:]) != np.asarray(after[:, cut:]))


@ways
def test_float32_stays_close_to_float64_over_a_long_text(way):
    exact = inputs(b=2, l=1013, d=3, n=4)
    single = [tf.cast(x, tf.float32) for x in exact]
    both = lambda *x: values_and_gradients(selective_scan, list(x))  # noqa: E731
    assert_same(compiled(way, both)(*single), compiled("plain", both)(*exact), 1e-5)


@ways
@pytest.mark.parametrize("size", [1e-8, 1e-3, 50.0])
def test_tiny_and_huge_steps_stay_near_float64(way, size):
    # Equal steps round alike: the error may grow by half a unit in the last place at each.
    u, delta, *others = inputs(l=300)
    exact = [u, tf.ones_like(delta) * size, *others]
    single = [tf.cast(x, tf.float32) for x in exact]
    both = lambda *x: values_and_gradients(selective_scan, list(x))  # noqa: E731
    assert_same(compiled(way, both)(*single), compiled("plain", both)(*exact), 300 * 2**-24)


@pytest.mark.slow
@ways
# A factor within 6e-8 of 1 leaves a float32 state as it is: at steps of 1e-8 the decay of
# 65,536 of them, 0.2% of the state at most, is lost.
@pytest.mark.parametrize(("size", "tolerance"), [(1e-8, 2e-3), (50.0, 1e-5)])
def test_the_longest_texts_stay_finite_and_near_float64(way, size, tolerance):
    u, delta, *others = inputs(b=1, l=65_536, d=3, n=2)
    exact = [u, delta * size, *others]
    single = [tf.cast(x, tf.float32) for x in exact]
    both = lambda *x: values_and_gradients(selective_scan, list(x))  # noqa: E731
    assert_same(compiled(way, both)(*single), compiled("xla", both)(*exact), tolerance)


@ways
def test_a_second_call_of_the_same_shapes_traces_nothing(way):
    run = compiled(way, lambda *x: values_and_gradients(selective_scan, list(x)))
    for seed in range(2):
        run(*(tf.cast(x, tf.float32) for x in inputs(seed=seed)))
    assert run.experimental_get_tracing_count() == 1


def test_sixteen_bit_inputs_keep_a_float32_state():
    exact = inputs(dtype=np.float32)
    half = [tf.cast(x, tf.bfloat16) for x in exact]
    y, state = selective_scan(*half, return_last_state=True)
    assert (y.dtype, state.dtype) == (tf.bfloat16, tf.float32)
    rounded = [tf.cast(x, tf.float32) for x in half]
    _, expected = selective_scan(*rounded, return_last_state=True)
    np.testing.assert_array_equal(state, expected)


def test_a_shape_that_disagrees_is_named():
    u, delta, A, B, C, D, z, h0 = inputs()
    with pytest.raises(ValueError, match=r"axis l of delta must be 37, got shape \(3, 36, 5\)"):
        selective_scan(u, delta[:, 1:], A, B, C, D)
    with pytest.raises(ValueError, match=r"D must have axes \(d\), got shape \(5, 1\)"):
        selective_scan(u, delta, A, B, C, D[:, None])
    with pytest.raises(ValueError, match=r"axis d of z must be 5, got shape \(3, 37, 4\)"):
        selective_scan(u, delta, A, B, C, D, z[..., 1:])
    with pytest.raises(ValueError, match=r"axis n of initial_state must be 4, got shape \(3, 5,"):
        selective_scan(u, delta, A, B, C, D, z, tf.transpose(h0, [0, 2, 1]))
