"""The scan in TensorFlow: ours, by XLA and in C++, and two simple alternatives.

Settings: `scan`, one of SCANS; `shards`, parallel parts of the batch as in our training step
(None: as many as there), since XLA runs a loop on one core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from benchmarks.measurement import Contest
from mamba_model import native_scan, selective_scan
from mamba_model.training_step import SHARDS

INPUTS = ("u", "delta", "A", "B", "C", "D")
PER_ROW = ("u", "delta", "B", "C", "dy")  # their first axis is the batch


def plain_loop(u, delta, A, B, C, D):
    """The recurrence as one loop over time, with its gradient by autodiff."""
    b, l, d = u.shape  # noqa: E741
    u_t, delta_t, B_t, C_t = (tf.transpose(x, [1, 0, 2]) for x in (u, delta, B, C))
    A_t = tf.transpose(A)  # (n, d)

    def step(t, h, ys):
        u, delta, B, C = (tf.gather(x, t) for x in (u_t, delta_t, B_t, C_t))
        decay = tf.exp(delta[:, None, :] * A_t)  # (b, n, d)
        h = decay * h + (delta * u)[:, None, :] * B[:, :, None]
        return t + 1, h, ys.write(t, tf.reduce_sum(h * C[:, :, None], axis=1))

    ys = tf.TensorArray(u.dtype, l, element_shape=(b, d))
    h = tf.zeros((b, A.shape[1], d), u.dtype)
    *_, ys = tf.while_loop(lambda t, *_: t < l, step, (0, h, ys), maximum_iterations=l)
    return tf.transpose(ys.stack(), [1, 0, 2]) + D * u


def cumsum_form(u, delta, A, B, C, D):
    """The closed form of small ports: two cumulative sums and a division.

    With P[t] = exp(sum of delta A over all steps after t), h[t] is the cumulative sum of
    delta B u P, divided by P[t]. On long inputs P underflows, and the 1e-12 that keeps the
    division finite dominates: the states of early steps are lost.
    """
    exponent = delta[..., None] * A  # (b, l, d, n)
    after = tf.cumsum(exponent, axis=1, exclusive=True, reverse=True)
    P = tf.exp(after)
    h = tf.cumsum((delta * u)[..., None] * B[:, :, None, :] * P, axis=1) / (P + 1e-12)
    return tf.einsum("bldn,bln->bld", h, C) + D * u


def ours_native(*inputs):
    with native_scan.native_scan():
        return selective_scan(*inputs)


# The scan, and whether XLA compiles it. At (8, 512, 256, 16) XLA's cumulative sums take 50 s,
# TensorFlow's 1 s.
SCANS: dict[str, tuple[Callable, bool]] = {
    "ours": (selective_scan, True),
    "ours_native": (ours_native, True),
    "autodiff_loop": (plain_loop, True),
    "cumsum": (cumsum_form, False),
}


def forward(scan: Callable) -> Callable:
    return lambda given: {"y": scan(*(given[name] for name in INPUTS))}


def forward_and_backward(scan: Callable) -> Callable:
    """y and the gradient of each input, for the gradient dy of y."""

    def run(given):
        inputs = [given[name] for name in INPUTS]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = scan(*inputs)
        gradients = tape.gradient(y, inputs, output_gradients=given["dy"])
        return {"y": y} | {f"d{name}": g for name, g in zip(INPUTS, gradients, strict=True)}

    return run


PASSES = {"fwd": forward, "fwd_bwd": forward_and_backward}


def sharded(run: Callable, arrays: dict[str, Any], shards: int, xla: bool) -> Callable:
    """Returns a function that calls `run` on each part of the batch, all in one graph.

    The parts are cut beforehand: a training step, too, cuts only its tokens.
    """
    b = len(arrays["u"])
    shards = max(1, min(shards, b // 2))
    given = [
        {
            name: tf.constant(
                array[b * i // shards : b * (i + 1) // shards] if name in PER_ROW else array
            )
            for name, array in arrays.items()
        }
        for i in range(shards)
    ]
    compiled = tf.function(run, jit_compile=xla, autograph=False)

    @tf.function(autograph=False)
    def all_shards(given):
        results = [compiled(shard) for shard in given]
        summed = {
            name: tf.add_n([result.pop(name) for result in results])
            for name in ("dA", "dD")
            if name in results[0]
        }
        return results, summed

    def call():
        out = all_shards(given)
        tf.test.experimental.sync_devices()
        return out

    return call


def whole(out) -> dict[str, Any]:
    """Converts the result of a sharded call to arrays of the whole batch."""
    results, summed = out
    return {
        **{name: tf.concat([r[name] for r in results], axis=0).numpy() for name in results[0]},
        **{name: tensor.numpy() for name, tensor in summed.items()},
    }


def main() -> None:
    contest = Contest("tensorflow")
    shards = contest.settings["shards"] or SHARDS
    if contest.settings["scan"] == "ours_native":
        try:
            native_scan.load()
        except native_scan.NativeScanError as error:
            contest.give_up(str(error))
            return
    scan, xla = SCANS[contest.settings["scan"]]
    for part in contest.settings["parts"]:
        call = sharded(PASSES[part](scan), contest.inputs, shards, xla)
        contest.measure(part, call, whole)


if __name__ == "__main__":
    main()
