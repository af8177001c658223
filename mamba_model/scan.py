"""The selective scan: Mamba's recurrence over time, with its own gradient.

    h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t]
    y[t] = (C[t] h[t] + D u[t]) silu(z[t])

The model runs `selective_scan`, and for generation `selective_scan_step`, one step of it.
`selective_scan_reference` is a slow and simple version that tests compare with.

The scan divides time into chunks of T steps. The forward pass keeps only the state at the
start of each chunk, l / T states instead of l. The backward pass goes through the chunks from
the last to the first, recomputes the states inside one chunk, then goes back through it. The
caller decides on compilation: a served graph runs these loops uncompiled, and the training step
compiles them with XLA. Inside `native_scan()` the loops of native/selective_scan.h run instead;
see native_scan.py.

Axes: b batch, l length, d inner channels (d_inner), n state (d_state). States are (b, n, d),
so that the long axis d is contiguous.
"""

import tensorflow as tf

from mamba_model import native_scan

CHUNK = 32  # T: steps between stored states


def selective_scan(
    u,
    delta,
    A,
    B,
    C,
    D,
    z=None,
    initial_state=None,
    return_last_state=False,
    *,
    chunk: int = CHUNK,
):
    """Runs the selective state-space recurrence over axis 1.

    Args:
        u: (b, l, d) float, input. The length is static or dynamic, from 1.
        delta: (b, l, d) float, step size, not negative; 0 passes the state on unchanged.
        A: (d, n) float, negative; decay per unit step.
        B, C: (b, l, n) float, input and output projections.
        D: (d,) float, skip weight.
        z: (b, l, d) float, gate before its SiLU; None: no gate.
        initial_state: (b, n, d) float, the state before the first step; zeros if None.
        return_last_state: whether to also return the state after the last step.
        chunk: steps between the states kept for the backward pass.

    Returns:
        y: (b, l, d), in the dtype of `u`; with `return_last_state`, (y, state) with state
        (b, n, d) in float32, also under mixed precision, or float64 if `u` is.

    Raises:
        ValueError: if the ranks or the static sizes of shared axes disagree.

    Source: Gu and Dao, arXiv:2312.00752, Algorithm 2. B is discretized by Euler's method, as in
    the authors' code, instead of the zero-order hold of the paper's equation 4.
    """
    u = tf.convert_to_tensor(u)
    _check_shapes(u, delta, A, B, C, D, z, initial_state)
    dtype = _state_dtype(u)
    x, delta, A, B, C, D = (tf.cast(v, dtype) for v in (u, delta, A, B, C, D))
    if initial_state is None:
        b = tf.shape(u)[0] if u.shape[0] is None else u.shape[0]
        initial_state = tf.zeros((b, A.shape[1], A.shape[0]), dtype)
    scan = native_scan.scan if native_scan.in_use(dtype) else _scan
    y, last_state = scan(
        x, delta, tf.transpose(A), B, C, tf.cast(initial_state, dtype), chunk=chunk
    )
    y = _skip_and_gate(y, x, D, z, u.dtype)
    return (y, last_state) if return_last_state else y


def selective_scan_step(u, delta, A, B, C, D, state, z=None):
    """One step of `selective_scan`.

    Args:
        u, delta, z: (b, d); A: (d, n); B, C: (b, n); D: (d,); state: (b, n, d).

    Returns:
        (y, state): (b, d) in the dtype of `u`, and the next state, (b, n, d).
    """
    dtype = _state_dtype(u)
    x, delta, A, B, C, D, state = (tf.cast(v, dtype) for v in (u, delta, A, B, C, D, state))
    state = _advance(state, x, delta, tf.transpose(A), B)
    return _skip_and_gate(_read_out(state, C), x, D, z, u.dtype), state


def selective_scan_reference(
    u, delta, A, B, C, D, z=None, initial_state=None, return_last_state=False
):
    """`selective_scan` written as its definition, with automatic gradients; for tests.

    Same arguments and results; the length must be static. Slow, and its memory grows with
    l n d.
    """
    b, l, d = u.shape  # noqa: E741
    state = tf.zeros((b, A.shape[1], d), u.dtype) if initial_state is None else initial_state
    y = []
    for t in range(l):
        decay = tf.exp(tf.einsum("bd,dn->bnd", delta[:, t], A))
        state = decay * state + tf.einsum("bd,bn->bnd", delta[:, t] * u[:, t], B[:, t])
        y.append(tf.einsum("bnd,bn->bd", state, C[:, t]) + D * u[:, t])
    y = tf.stack(y, axis=1)  # (b, l, d)
    if z is not None:
        y = y * z * tf.sigmoid(z)
    return (y, state) if return_last_state else y


def _skip_and_gate(y, u, D, z, dtype):
    """(y + u D) silu(z), cast to `dtype`: all (..., d), except D (d,)."""
    y = y + u * D
    return tf.cast(y if z is None else y * tf.nn.silu(tf.cast(z, y.dtype)), dtype)


def _advance(h, u, delta, A, B):
    """h[t] from h[t-1]: (b, n, d), (b, d), (b, d), (n, d), (b, n) -> (b, n, d)."""
    return tf.exp(delta[:, None, :] * A) * h + (delta * u)[:, None, :] * B[:, :, None]


def _read_out(h, C):
    """C h: (b, n, d), (b, n) -> (b, d)."""
    return tf.reduce_sum(h * C[:, :, None], axis=1)


def _scan(u, delta, A, B, C, h0, *, chunk):
    """The recurrence without D: u, delta (b, l, d), A (n, d), B, C (b, l, n), h0 (b, n, d).

    Returns y (b, l, d) and the last state (b, n, d).
    """
    # Time comes first, so that a step's slice is contiguous. `tf.gather` takes it, as `u[t]`
    # compiles to a slice of a copy padded to twice its size, which is up to twice as slow.
    u, delta, B, C = (tf.transpose(x, [1, 0, 2]) for x in (u, delta, B, C))

    def array(size, element_shape):
        return tf.TensorArray(h0.dtype, size, element_shape=element_shape)

    @tf.custom_gradient
    def scan(u, delta, A, B, C, h0):
        l = tf.shape(u)[0] if u.shape[0] is None else u.shape[0]  # noqa: E741
        n_chunks = (l + chunk - 1) // chunk

        def forward_chunk(k, h, borders, ys):
            def step(t, h, ys):
                u_t, delta_t, B_t, C_t = (tf.gather(x, t) for x in (u, delta, B, C))
                h = _advance(h, u_t, delta_t, A, B_t)
                return t + 1, h, ys.write(t, _read_out(h, C_t))

            borders = borders.write(k, h)
            start = k * chunk
            stop = tf.minimum(start + chunk, l)
            _, h, ys = _loop(start, stop, step, (h, ys), at_most=chunk)
            return k + 1, h, borders, ys

        borders = array(n_chunks, h0.shape)
        _, h_last, borders, ys = _loop(
            0, n_chunks, forward_chunk, (h0, borders, array(l, u.shape[1:])), at_most=n_chunks
        )
        borders = borders.stack()  # (l / T, b, n, d)

        def gradient(dy, dh_last):
            def backward_chunk(i, g, dA, *grads):
                k = n_chunks - 1 - i
                start = k * chunk
                size = tf.minimum(chunk, l - start)

                def again(j, h, states):
                    u_t, delta_t, B_t = (tf.gather(x, start + j) for x in (u, delta, B))
                    return j + 1, _advance(h, u_t, delta_t, A, B_t), states.write(j, h)

                first = (tf.gather(borders, k), array(chunk, h0.shape))
                _, h, states = _loop(0, size, again, first, at_most=chunk)
                states = states.stack()  # (T, b, n, d): the state before each step

                # g is the gradient of h[t]; h is the state after step t.
                def back(j, h, g, dA, du, ddelta, dB, dC):
                    t = start + size - 1 - j
                    u_t, delta_t, B_t, C_t, dy_t = (tf.gather(x, t) for x in (u, delta, B, C, dy))
                    h_before = tf.gather(states, size - 1 - j)
                    decay = tf.exp(delta_t[:, None, :] * A)
                    dC = dC.write(t, tf.linalg.matvec(h, dy_t))
                    g = g + dy_t[:, None, :] * C_t[:, :, None]
                    dB = dB.write(t, tf.linalg.matvec(g, delta_t * u_t))
                    gB = _read_out(g, B_t)
                    du = du.write(t, gB * delta_t)
                    g = g * decay  # from here on the gradient of h[t-1]
                    g_exponent = g * h_before  # the gradient of delta A
                    ddelta_t = tf.reduce_sum(g_exponent * A, axis=1) + gB * u_t
                    dA = dA + tf.reduce_sum(g_exponent * delta_t[:, None, :], axis=0)
                    return j + 1, h_before, g, dA, du, ddelta.write(t, ddelta_t), dB, dC

                out = _loop(0, size, back, (h, g, dA, *grads), at_most=chunk)
                return (i + 1, *out[2:])

            arrays = [array(l, x.shape[1:]) for x in (u, u, B, C)]
            _, dh0, dA, *grads = _loop(
                0,
                n_chunks,
                backward_chunk,
                (dh_last, tf.zeros_like(A), *arrays),
                at_most=n_chunks,
            )
            du, ddelta, dB, dC = (x.stack() for x in grads)
            return du, ddelta, dA, dB, dC, dh0

        return (ys.stack(), h_last), gradient

    y, last_state = scan(u, delta, A, B, C, h0)
    return tf.transpose(y, [1, 0, 2]), last_state


def _loop(start, stop, body, variables, at_most):
    """A while loop whose first variable counts from `start` to `stop`."""
    return tf.while_loop(
        lambda i, *_: i < stop, body, (start, *variables), maximum_iterations=at_most
    )


def _state_dtype(u):
    return tf.float64 if u.dtype == tf.float64 else tf.float32


def _check_shapes(u, delta, A, B, C, D, z, initial_state) -> None:
    sizes: dict[str, int] = {}
    wanted = {"u": (u, "bld"), "delta": (delta, "bld"), "A": (A, "dn"), "B": (B, "bln")}
    wanted |= {"C": (C, "bln"), "D": (D, "d")}
    if z is not None:
        wanted["z"] = (z, "bld")
    if initial_state is not None:
        wanted["initial_state"] = (initial_state, "bnd")
    for name, (tensor, axes) in wanted.items():
        shape = tuple(tensor.shape)
        if len(shape) != len(axes):
            raise ValueError(
                f"selective_scan: {name} must have axes ({', '.join(axes)}), got shape {shape}"
            )
        for axis, size in zip(axes, shape, strict=True):
            if size is not None and sizes.setdefault(axis, size) != size:
                raise ValueError(
                    f"selective_scan: axis {axis} of {name} must be {sizes[axis]}, "
                    f"got shape {shape} for ({', '.join(axes)})"
                )
