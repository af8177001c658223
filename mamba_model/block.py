"""The Mamba block.

Glossary of names and the paper's symbols (Gu and Dao, arXiv:2312.00752, figure 3):

    b, l        batch and length                  d_model     D, width of the residual stream
    d_inner     E D, width inside the block       d_state     N, state per inner channel
    delta       the input-dependent step size     dt_rank     rank of delta's projection
    A, B, C, D  the state-space matrices; A = -exp(A_log)

The state of a block is the last d_conv - 1 inputs of its convolution, (b, d_conv - 1,
d_inner), and the scan's state, (b, d_state, d_inner).

Padding. Where `mask` is False, delta is 0, so the state passes through, and the convolution
sees 0. So padding on the right changes no real position, no gradient and no returned state,
which is the state after each row's last real position. The same holds for padding on the left
if the row starts without a state. With a state it does not hold: the convolution then sees the
padding's zeros between the earlier inputs and the text.
"""

import math

import keras
import tensorflow as tf

from mamba_model.config import MambaConfig
from mamba_model.projection import Projection
from mamba_model.scan import selective_scan, selective_scan_step

register = keras.saving.register_keras_serializable(package="mamba_model")


@register
class LogDecay(keras.initializers.Initializer):
    """A_log = log(1), ..., log(d_state) for every channel (S4D-real)."""

    def __call__(self, shape, dtype=None):
        row = tf.math.log(tf.range(1, shape[1] + 1, dtype=tf.float32))
        return tf.cast(tf.broadcast_to(row, shape), dtype or "float32")


@register
class DeltaBias(keras.initializers.Initializer):
    """Bias b such that softplus(b) is log-uniform in [dt_min, dt_max], at least dt_init_floor.

    This must be an initializer: Keras discards an assignment in `build` if it builds a layer
    without state, and every delta would start at softplus(0) = 0.693.
    """

    def __init__(self, dt_min: float, dt_max: float, dt_init_floor: float, seed=None):
        self.dt_min, self.dt_max, self.dt_init_floor = dt_min, dt_max, dt_init_floor
        self._uniform = keras.initializers.RandomUniform(math.log(dt_min), math.log(dt_max), seed)

    def __call__(self, shape, dtype=None):
        dt = tf.exp(self._uniform(shape, dtype="float32"))
        dt = tf.maximum(dt, self.dt_init_floor)
        return tf.cast(dt + tf.math.log(-tf.math.expm1(-dt)), dtype or "float32")

    def get_config(self):
        return {
            "dt_min": self.dt_min,
            "dt_max": self.dt_max,
            "dt_init_floor": self.dt_init_floor,
            "seed": self._uniform.get_config()["seed"],
        }


def rms_norm(config: MambaConfig, policy) -> keras.layers.Layer:
    """The norm of the residual stream. It acts on each position alone, so masks pass through."""
    norm = keras.layers.RMSNormalization(epsilon=config.norm_epsilon, dtype=policy, name="norm")
    norm.supports_masking = True
    return norm


class SavedByConfig(keras.layers.Layer):
    """A layer or model that Keras saves and loads by its attribute `config`, a MambaConfig."""

    def get_config(self):
        return {**super().get_config(), "config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        return cls(MambaConfig.from_dict(config.pop("config")), **config)


class ConfiguredLayer(SavedByConfig):
    """A layer defined by a MambaConfig alone.

    In mixed precision the scan's state, delta, A, D and the residual stream keep
    `wide_dtype`, float32. So Keras must not cast the inputs of these layers; parts that work in
    the 16-bit `compute_dtype` cast themselves, as Dense does.
    """

    def __init__(self, config: MambaConfig, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.config = config
        self.supports_masking = True
        half = self.compute_dtype in ("float16", "bfloat16")
        self.wide_dtype = "float32" if half else self.compute_dtype


@register
class MambaBlock(ConfiguredLayer):
    """Input projection, convolution, selective scan, gate, output projection.

    Call: x (b, l, d_model), mask (b, l) bool or None, state (conv, ssm) or None; returns
    (b, l, d_model), and with `return_state` also the state after the last real position.

    Initial values are those of the authors' code (`mamba_simple.py`, `_init_weights`).
    """

    def __init__(self, config: MambaConfig, **kwargs):
        super().__init__(config, **kwargs)
        c = config
        bound = c.dt_rank**-0.5
        self.in_proj = self._linear("in_proj", 2 * c.d_inner)
        self.x_proj = self._linear("x_proj", c.dt_rank + 2 * c.d_state)
        self.dt_proj = keras.layers.Dense(
            c.d_inner,
            activation="softplus",
            kernel_initializer=keras.initializers.RandomUniform(-bound, bound),
            bias_initializer=DeltaBias(c.dt_min, c.dt_max, c.dt_init_floor),
            dtype=self.wide_dtype,
            name="dt_proj",
        )
        # Each block adds to the residual stream once. Without the scale, n_layer blocks would
        # start with n_layer times its variance.
        self.out_proj = self._linear("out_proj", c.d_model, 1 / math.sqrt(c.n_layer))

    def _linear(self, name: str, width: int, scale: float = 1.0) -> Projection:
        """A projection without bias, uniform in scale / sqrt(fan in): PyTorch's default."""
        initializer = keras.initializers.VarianceScaling(scale**2 / 3, "fan_in", "uniform")
        return Projection(
            width,
            use_bias=False,
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, x_shape):
        c = self.config
        self.in_proj.build((None, None, c.d_model))
        self.x_proj.build((None, None, c.d_inner))
        self.dt_proj.build((None, None, c.dt_rank))
        self.out_proj.build((None, None, c.d_inner))
        bound = 1 / math.sqrt(c.d_conv)
        uniform = keras.initializers.RandomUniform
        self.conv_kernel = self.add_weight(
            (c.d_conv, c.d_inner), uniform(-bound, bound), name="conv_kernel"
        )
        self.conv_bias = self.add_weight((c.d_inner,), uniform(-bound, bound), name="conv_bias")
        shape = (c.d_inner, c.d_state)
        self.A_log = self.add_weight(shape, LogDecay(), name="A_log", autocast=False)
        self.D = self.add_weight((c.d_inner,), "ones", name="D", autocast=False)

    def call(self, x, mask=None, state=None, return_state=False):
        x, gate = tf.split(self.in_proj(x), 2, axis=-1)  # (b, l, d_inner) each
        if mask is not None:
            x = tf.where(mask[..., None], x, tf.zeros_like(x))
        conv_state, ssm_state = (None, None) if state is None else state
        x, conv_state = self._convolve(x, mask, conv_state, return_state)
        delta, B, C = self._selection(x)
        if mask is not None:
            delta = tf.where(mask[..., None], delta, tf.zeros_like(delta))
        A, D = self._decay_and_skip()
        y, ssm_state = selective_scan(x, delta, A, B, C, D, gate, ssm_state, return_last_state=True)
        y = self.out_proj(y)
        return (y, (conv_state, ssm_state)) if return_state else y

    def stepper(self):
        """A function for one token, which computes what depends only on weights once.

        It takes x (b, d_model) and state (conv, ssm), and returns (b, d_model) and the state.
        """
        A, D = self._decay_and_skip()
        kernel, bias = self._convolution()

        def step(x, state):
            conv_state, ssm_state = state
            x, gate = tf.split(self.in_proj(x), 2, axis=-1)  # (b, d_inner) each
            window = tf.concat([tf.cast(conv_state, x.dtype), x[:, None]], axis=1)  # (b, d_conv, d)
            x = tf.nn.silu(tf.reduce_sum(window * kernel, axis=1) + bias)
            delta, B, C = self._selection(x)
            y, ssm_state = selective_scan_step(x, delta, A, B, C, D, ssm_state, gate)
            return self.out_proj(y), (window[:, 1:], ssm_state)

        return step

    def _decay_and_skip(self):
        """A (d_inner, d_state) and D (d_inner,), which do not depend on the input."""
        return -tf.exp(tf.convert_to_tensor(self.A_log)), tf.convert_to_tensor(self.D)

    def _convolution(self):
        """Kernel (d_conv, d_inner) and bias (d_inner,), in the compute dtype."""
        weights = (self.conv_kernel, self.conv_bias)
        return [tf.cast(tf.convert_to_tensor(v), self.compute_dtype) for v in weights]

    def _convolve(self, x, mask, state, return_state):
        """Causal depthwise convolution and SiLU: y (b, l, d_inner) and the next state."""
        taps = self.config.d_conv
        length = tf.shape(x)[1] if x.shape[1] is None else x.shape[1]
        if state is None:
            padded = tf.pad(x, [[0, 0], [taps - 1, 0], [0, 0]])
        else:
            padded = tf.concat([tf.cast(state, x.dtype), x], axis=1)  # (b, d_conv - 1 + l, d)
        # Shifted multiply-adds: a third faster than depthwise_conv2d in a training step.
        kernel, bias = self._convolution()
        y = tf.nn.silu(sum(padded[:, j : j + length] * kernel[j] for j in range(taps)) + bias)
        if not return_state:
            return y, None
        if mask is None:
            return y, padded[:, length:]
        ends = tf.where(mask, tf.range(1, length + 1), 0)  # (b, l)
        window = tf.reduce_max(ends, axis=1)[:, None] + tf.range(taps - 1)  # (b, d_conv - 1)
        return y, tf.gather(padded, window, batch_dims=1)

    def _selection(self, x):
        """delta (..., d_inner), B and C (..., d_state) from the convolved input."""
        c = self.config
        dt, B, C = tf.split(self.x_proj(x), [c.dt_rank, c.d_state, c.d_state], axis=-1)
        return self.dt_proj(dt), B, C
