"""The selective scan and its gradient in float64 numpy, step by step, and inputs for it.

The reference for all results of the scan benchmark. It is independent of TensorFlow and of
mamba_model, so it does not share their errors.
"""

from __future__ import annotations

import numpy as np

Arrays = dict[str, np.ndarray]
INPUTS = ("u", "delta", "A", "B", "C", "D")


def inputs(b: int, l: int, d: int, n: int, seed: int = 0) -> Arrays:  # noqa: E741
    """Inputs of a block's scan at the start of a training, and the gradient of y; float32.

    A is -1, ..., -n and delta is log-uniform in [0.001, 0.1], as in Mamba's initialisation; the
    rest is normal.

    Returns:
        u, delta, dy (b, l, d); A (d, n); B, C (b, l, n); D (d,).
    """
    random = np.random.default_rng(seed)
    arrays = {
        "u": random.normal(size=(b, l, d)),
        "delta": np.exp(random.uniform(np.log(1e-3), np.log(0.1), size=(b, l, d))),
        "A": -np.tile(np.arange(1.0, n + 1), (d, 1)),
        "B": random.normal(size=(b, l, n)),
        "C": random.normal(size=(b, l, n)),
        "D": random.normal(size=d),
        "dy": random.normal(size=(b, l, d)),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def scan_and_gradients(arrays: Arrays) -> Arrays:
    """Returns y, and the gradient of each input for the gradient `dy` of y: du, ..., dD; float64.

    Keeps all states, 8 b l d n bytes.
    """
    u, delta, A, B, C, D, dy = (arrays[name].astype(np.float64) for name in (*INPUTS, "dy"))
    b, l, d = u.shape  # noqa: E741
    h = np.zeros((l + 1, b, d, A.shape[1]))  # h[t + 1] is the state after step t
    y = np.empty_like(u)
    for t in range(l):
        h[t + 1] = np.exp(delta[:, t, :, None] * A) * h[t]
        h[t + 1] += (delta[:, t] * u[:, t])[:, :, None] * B[:, t, None, :]
        y[:, t] = np.einsum("bdn,bn->bd", h[t + 1], C[:, t]) + D * u[:, t]
    du, ddelta, dA, dB, dC = (np.zeros_like(x) for x in (u, delta, A, B, C))
    g = np.zeros_like(h[0])  # gradient of the state
    for t in reversed(range(l)):
        dC[:, t] = np.einsum("bdn,bd->bn", h[t + 1], dy[:, t])
        g += dy[:, t, :, None] * C[:, t, None, :]
        dB[:, t] = np.einsum("bdn,bd->bn", g, delta[:, t] * u[:, t])
        g_B = np.einsum("bdn,bn->bd", g, B[:, t])
        du[:, t] = g_B * delta[:, t] + D * dy[:, t]
        g *= np.exp(delta[:, t, :, None] * A)  # from here on, of the state before
        g_exponent = g * h[t]  # of delta A
        ddelta[:, t] = np.einsum("bdn,dn->bd", g_exponent, A) + g_B * u[:, t]
        dA += np.einsum("bdn,bd->dn", g_exponent, delta[:, t])
    dD = np.einsum("bld,bld->d", dy, u)
    return {"y": y, "du": du, "ddelta": ddelta, "dA": dA, "dB": dB, "dC": dC, "dD": dD}
