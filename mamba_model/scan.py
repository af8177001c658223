"""The selective scan: Mamba's recurrence over time, with its own gradient.

    h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t],    y[t] = C[t] h[t] + D u[t]

`selective_scan` is what the model runs, `selective_scan_step` is one step of it for
generation, `selective_scan_reference` is the slow, obvious twin that tests compare with.

How it works. Time is walked in chunks of T steps. The forward pass keeps the state only
where a chunk begins, l / T states instead of l; the backward pass walks the chunks from the
last to the first, computes the states inside one chunk again, then goes back through it.
Nothing here is compiled: the same plain loops run as they are in a served graph, and as one
fused kernel when the caller compiles them with XLA (the training step does).

Axes: b batch, l length, d inner channels (d_inner), n state (d_state). States are (b, n, d),
so that the long axis d is the contiguous one.
"""

import tensorflow as tf

CHUNK = 32  # T: steps between stored states


def selective_scan(
    u, delta, A, B, C, D, initial_state=None, return_last_state=False, *, chunk: int = CHUNK
):
    """Runs the selective state-space recurrence over axis 1.

    Args:
        u: (b, l, d) float, input. The length may be any, static or dynamic, from 1.
        delta: (b, l, d) float, step size, not negative; 0 passes the state on unchanged.
        A: (d, n) float, negative; decay per unit step.
        B, C: (b, l, n) float, input and output projections.
        D: (d,) float, skip weight.
        initial_state: (b, n, d) float, the state before the first step; zeros if None.
        return_last_state: whether to return the state after the last step too.
        chunk: steps between the states kept for the backward pass.

    Returns:
        y: (b, l, d), in the dtype of `u`; with `return_last_state`, (y, state) with state
        (b, n, d) in float32 (float64 where `u` is). The state is float32 under mixed
        precision too.

    Raises:
        ValueError: if the ranks or the static sizes of shared axes disagree.

    Source: Gu and Dao, arXiv:2312.00752, Algorithm 2. B takes the Euler step, as the
    authors' code does, not the zero-order hold of the paper's equation 4.
    """
    u = tf.convert_to_tensor(u)
    _check_shapes(u, delta, A, B, C, D, initial_state)
    dtype = _state_dtype(u)
    time_major = lambda x: tf.transpose(tf.cast(x, dtype), [1, 0, 2])  # noqa: E731
    if initial_state is None:
        d, n = A.shape
        initial_state = tf.zeros((tf.shape(u)[0] if u.shape[0] is None else u.shape[0], n, d))
    y, last_state = _scan(
        time_major(u),
        time_major(delta),
        tf.transpose(tf.cast(A, dtype)),
        time_major(B),
        time_major(C),
        tf.cast(initial_state, dtype),
        chunk=chunk,
    )
    y = tf.transpose(y, [1, 0, 2]) + tf.cast(u, dtype) * tf.cast(D, dtype)
    y = tf.cast(y, u.dtype)
    return (y, last_state) if return_last_state else y


def selective_scan_step(u, delta, A, B, C, D, state):
    """One step of `selective_scan`.

    Args:
        u, delta: (b, d); A: (d, n); B, C: (b, n); D: (d,); state: (b, n, d).

    Returns:
        (y, state): (b, d) in the dtype of `u`, and the next state, (b, n, d).
    """
    dtype = _state_dtype(u)
    x, delta, A, B, C, D, state = (tf.cast(v, dtype) for v in (u, delta, A, B, C, D, state))
    state = _advance(state, x, delta, tf.transpose(A), B)
    return tf.cast(_read_out(state, C) + x * D, u.dtype), state


def selective_scan_reference(u, delta, A, B, C, D, initial_state=None, return_last_state=False):
    """What `selective_scan` computes, written as its definition and left to autodiff.

    Same arguments and results; the length must be static. Slow, and its memory grows with
    l n d: for tests only.
    """
    b, l, d = u.shape  # noqa: E741
    state = tf.zeros((b, A.shape[1], d), u.dtype) if initial_state is None else initial_state
    y = []
    for t in range(l):
        decay = tf.exp(tf.einsum("bd,dn->bnd", delta[:, t], A))
        state = decay * state + tf.einsum("bd,bn->bnd", delta[:, t] * u[:, t], B[:, t])
        y.append(tf.einsum("bnd,bn->bd", state, C[:, t]) + D * u[:, t])
    y = tf.stack(y, axis=1)  # (b, l, d)
    return (y, state) if return_last_state else y


def _advance(h, u, delta, A, B):
    """h[t] from h[t-1]: (b, n, d), (b, d), (b, d), (n, d), (b, n) -> (b, n, d)."""
    return tf.exp(delta[:, None, :] * A) * h + (delta * u)[:, None, :] * B[:, :, None]


def _read_out(h, C):
    """C h: (b, n, d), (b, n) -> (b, d)."""
    return tf.reduce_sum(h * C[:, :, None], axis=1)


def _scan(u, delta, A, B, C, h0, *, chunk):
    """The recurrence without D. Time-major: u, delta (l, b, d), A (n, d), B, C (l, b, n).

    Returns y (l, b, d) and the last state (b, n, d).
    """

    @tf.custom_gradient
    def scan(u, delta, A, B, C, h0):
        l = tf.shape(u)[0] if u.shape[0] is None else u.shape[0]  # noqa: E741
        n_chunks = (l + chunk - 1) // chunk

        def forward_chunk(k, h, borders, ys):
            def step(t, h, ys):
                h = _advance(h, u[t], delta[t], A, B[t])
                return t + 1, h, ys.write(t, _read_out(h, C[t]))

            borders = borders.write(k, h)
            start = k * chunk
            stop = tf.minimum(start + chunk, l)
            _, h, ys = _loop(start, stop, step, (h, ys), at_most=chunk)
            return k + 1, h, borders, ys

        borders = _array(h0, n_chunks)
        _, h_last, borders, ys = _loop(
            0, n_chunks, forward_chunk, (h0, borders, _array(u[0], l)), at_most=n_chunks
        )
        borders = borders.stack()  # (l / T, b, n, d)

        def gradient(dy, dh_last):
            def backward_chunk(i, g, dA, *grads):
                k = n_chunks - 1 - i
                start = k * chunk
                size = tf.minimum(chunk, l - start)

                def again(j, h, states):
                    t = start + j
                    states = states.write(j, h)
                    return j + 1, _advance(h, u[t], delta[t], A, B[t]), states

                _, h, states = _loop(0, size, again, (borders[k], _array(h0, chunk)), at_most=chunk)
                states = states.stack()  # (T, b, n, d): the state before each step

                # g is the gradient of h[t]; h, the state after step t, is passed on.
                def back(j, h, g, dA, du, ddelta, dB, dC):
                    t = start + size - 1 - j
                    u_t, delta_t, B_t, dy_t = u[t], delta[t], B[t], dy[t]
                    h_before = states[size - 1 - j]
                    decay = tf.exp(delta_t[:, None, :] * A)
                    dC = dC.write(t, tf.linalg.matvec(h, dy_t))
                    g = g + dy_t[:, None, :] * C[t][:, :, None]
                    dB = dB.write(t, tf.linalg.matvec(g, delta_t * u_t))
                    gB = _read_out(g, B_t)
                    du = du.write(t, gB * delta_t)
                    g = g * decay  # from here the gradient of h[t-1]
                    g_exponent = g * h_before  # of delta A
                    ddelta_t = tf.reduce_sum(g_exponent * A, axis=1) + gB * u_t
                    dA = dA + tf.reduce_sum(g_exponent * delta_t[:, None, :], axis=0)
                    return j + 1, h_before, g, dA, du, ddelta.write(t, ddelta_t), dB, dC

                out = _loop(0, size, back, (h, g, dA, *grads), at_most=chunk)
                return (i + 1, *out[2:])

            arrays = [_array(x[0], l) for x in (u, u, B, C)]
            _, dh0, dA, *grads = _loop(
                0,
                n_chunks,
                backward_chunk,
                (dh_last, tf.zeros_like(A), *arrays),
                at_most=n_chunks,
            )
            du, ddelta, dB, dC = (array.stack() for array in grads)
            return du, ddelta, dA, dB, dC, dh0

        return (ys.stack(), h_last), gradient

    return scan(u, delta, A, B, C, h0)


def _loop(start, stop, body, variables, at_most):
    """A while-loop whose first variable counts from `start` to `stop`."""
    return tf.while_loop(
        lambda i, *_: i < stop, body, (start, *variables), maximum_iterations=at_most
    )


def _array(like, size):
    """An empty array of `size` elements shaped like the tensor `like`."""
    return tf.TensorArray(like.dtype, size, element_shape=like.shape)


def _state_dtype(u):
    return tf.float64 if u.dtype == tf.float64 else tf.float32


def _check_shapes(u, delta, A, B, C, D, initial_state) -> None:
    sizes: dict[str, int] = {}
    wanted = {"u": (u, "bld"), "delta": (delta, "bld"), "A": (A, "dn"), "B": (B, "bln")}
    wanted |= {"C": (C, "bln"), "D": (D, "d")}
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
