"""The residual block around a Mamba block: norm, one or two directions, dropout."""

import keras
import tensorflow as tf

from mamba_model.block import ConfiguredLayer, MambaBlock, register, rms_norm
from mamba_model.config import MambaConfig


@register
class ResidualBlock(ConfiguredLayer):
    """x + dropout(mixer(norm(x))). Same call and stepper as MambaBlock.

    If `bidirectional`, a second mixer with its own weights reads the text backwards, and its
    output is added to the first mixer's. Padding may stay in place, as a mixer ignores it on
    either side. Such a block has no state; asking for one raises ValueError.

    If `recompute_blocks`, training keeps only x for the backward pass, which computes norm and
    mixer again. Dropout stays outside, so that both passes use the same mask.

    Source of the second direction: BiMambaWrapper of Caduceus (Schiff et al.,
    arXiv:2403.03234), strategy "add" without tied weights.
    """

    def __init__(self, config: MambaConfig, **kwargs):
        super().__init__(config, **kwargs)
        policy = self.dtype_policy
        self.norm = rms_norm(config, policy)
        self.mixer = MambaBlock(config, dtype=policy, name="mixer")
        self.reverse_mixer = None
        if config.bidirectional:
            self.reverse_mixer = MambaBlock(config, dtype=policy, name="reverse_mixer")
        self.dropout = keras.layers.Dropout(config.residual_dropout, dtype=policy)

    def build(self, x_shape):
        for layer in (self.norm, self.mixer, self.reverse_mixer):
            if layer is not None:
                layer.build((None, None, self.config.d_model))

    def call(self, x, mask=None, state=None, return_state=False, training=False):
        if state is not None or return_state:
            refuse_state(self)

        def mix(x, *state):
            return self._mix(self.norm(x), mask, state or None, return_state)

        inputs = (x, *(state or ()))
        if training and self.config.recompute_blocks:
            y, *state = _recomputed(mix, self.trainable_variables, inputs)
        else:
            y, *state = mix(*inputs)
        x = x + tf.cast(self.dropout(y, training=training), x.dtype)
        return (x, tuple(state)) if return_state else x

    def _mix(self, x, mask, state, return_state):
        """The mixers on the normed x: [y], or [y, conv, ssm] with `return_state`."""
        if return_state:
            y, state = self.mixer(x, mask=mask, state=state, return_state=True)
            return [y, *state]
        y = self.mixer(x, mask=mask, state=state)
        if self.reverse_mixer is not None:
            mask = None if mask is None else tf.reverse(mask, [1])
            y += tf.reverse(self.reverse_mixer(tf.reverse(x, [1]), mask=mask), [1])
        return [y]

    def stepper(self):
        """As `MambaBlock.stepper`."""
        refuse_state(self)
        mixer = self.mixer.stepper()

        def step(x, state):
            y, state = mixer(self.norm(x), state)
            return x + tf.cast(y, x.dtype), state

        return step


def _recomputed(function, variables, inputs):
    """`function(*inputs)` with gradient checkpointing: the backward pass runs it again.

    `variables` are all that the function reads. It gets them as tensors, as inside Keras's
    stateless calls. Source: Chen et al., arXiv:1604.06174.
    """
    n = len(inputs)

    def run(*tensors):
        with keras.StatelessScope(list(zip(variables, tensors[n:], strict=True))):
            return function(*tensors[:n])

    return tf.recompute_grad(run)(*inputs, *(tf.convert_to_tensor(v) for v in variables))


def refuse_state(layer: ConfiguredLayer) -> None:
    """Raises ValueError if `layer` is bidirectional."""
    if layer.config.bidirectional:
        raise ValueError(
            f"{layer.name}: MambaConfig.bidirectional is True, and a bidirectional model can "
            "neither continue from a state nor generate token by token. Use "
            "MambaConfig(bidirectional=False) for that."
        )
