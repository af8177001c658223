"""The benchmark's float64 scan, against finite differences and the model's scan."""

import numpy as np
import tensorflow as tf

from benchmarks.scan_reference import INPUTS, inputs, scan_and_gradients
from mamba_model import selective_scan


def test_its_gradients_match_finite_differences_of_its_values():
    arrays = {name: x.astype(np.float64) for name, x in inputs(b=2, l=7, d=3, n=4).items()}
    exact = scan_and_gradients(arrays)
    random = np.random.default_rng(1)
    for name in INPUTS:
        direction = random.normal(size=arrays[name].shape)
        moved = [
            np.sum(scan_and_gradients(arrays | {name: arrays[name] + h * direction})["y"]
                   * arrays["dy"])
            for h in (1e-5, -1e-5)
        ]  # fmt: skip
        slope = (moved[0] - moved[1]) / 2e-5
        np.testing.assert_allclose(np.sum(exact[f"d{name}"] * direction), slope, rtol=1e-6)


def test_it_agrees_with_the_models_scan_in_values_and_gradients():
    arrays = inputs(b=2, l=70, d=3, n=4)
    given = [tf.constant(arrays[name], tf.float64) for name in INPUTS]
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = selective_scan(*given)
    gradients = tape.gradient(y, given, output_gradients=tf.constant(arrays["dy"], tf.float64))
    exact = scan_and_gradients(arrays)
    for name, ours in zip(("y", *(f"d{name}" for name in INPUTS)), [y, *gradients], strict=True):
        np.testing.assert_allclose(ours, exact[name], atol=1e-10, err_msg=name)


def test_inputs_are_those_of_a_new_block():
    arrays = inputs(b=2, l=300, d=5, n=3)
    np.testing.assert_array_equal(arrays["A"], np.tile([-1, -2, -3], (5, 1)))
    assert 0.001 <= arrays["delta"].min() < 0.0015 and 0.07 < arrays["delta"].max() <= 0.1
    assert {x.dtype for x in arrays.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(arrays["u"], inputs(b=2, l=300, d=5, n=3)["u"])
