"""Embedding, residual Mamba blocks, final norm: token ids to features.

The state of the whole backbone is two stacked tensors, as in the exported signatures:

    conv  (n_layer, b, d_conv - 1, d_inner)
    ssm   (n_layer, b, d_state, d_inner)
"""

import keras
import tensorflow as tf

from mamba_model.block import ConfiguredLayer, register, rms_norm
from mamba_model.config import MambaConfig
from mamba_model.residual_block import ResidualBlock, refuse_state


@register
class MambaBackbone(ConfiguredLayer):
    """tokens (b, l) int, mask (b, l) bool or None -> features (b, l, d_model).

    `state` continues an earlier window. With `return_state` the result is (features, state),
    with the state after each row's last real position.

    A bidirectional backbone has no state; asking for one raises ValueError.
    """

    def __init__(self, config: MambaConfig, **kwargs):
        super().__init__(config, **kwargs)
        policy = self.dtype_policy
        self.embedding = keras.layers.Embedding(
            config.vocabulary_size,
            config.d_model,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.02),
            dtype=policy,
            name="embedding",
        )
        self.word_dropout = keras.layers.Dropout(
            config.word_dropout, noise_shape=(None, None, 1), dtype=policy
        )
        self.embedding_dropout = keras.layers.Dropout(config.embedding_dropout, dtype=policy)
        self.blocks = [
            ResidualBlock(config, dtype=policy, name=f"block_{i}") for i in range(config.n_layer)
        ]
        self.norm = rms_norm(config, policy)

    def build(self, tokens_shape):
        self.embedding.build((None, None))
        for block in self.blocks:
            block.build((None, None, self.config.d_model))
        self.norm.build((None, None, self.config.d_model))

    def call(self, tokens, mask=None, state=None, return_state=False, training=False):
        x = self.embedding(tokens)  # (b, l, d_model)
        x = self.word_dropout(x, training=training)
        x = tf.cast(self.embedding_dropout(x, training=training), self.wide_dtype)
        if state is not None or return_state:
            refuse_state(self)
        states = []
        for i, block in enumerate(self.blocks):
            layer_state = None if state is None else (state[0][i], state[1][i])
            x = block(x, mask=mask, state=layer_state, return_state=return_state, training=training)
            if return_state:
                x, layer_state = x
                states.append(layer_state)
        x = self.norm(x)
        return (x, _stack(states)) if return_state else x

    def stepper(self):
        """One step of generation: reads the weights once and keeps states unstacked.

        Returns a function of token (b,) int and states, a list with (conv, ssm) of each block,
        that returns features (b, d_model) and the next states.
        """
        weights = [(v, tf.convert_to_tensor(v)) for v in self.trainable_variables]
        blocks = [block.stepper() for block in self.blocks]

        def step(token, states):
            with keras.StatelessScope(weights):
                x = tf.cast(self.embedding(token), self.wide_dtype)
                next_states = []
                for block, state in zip(blocks, states, strict=True):
                    x, state = block(x, state)
                    next_states.append(state)
                return self.norm(x), next_states

        return step

    def initial_state(self, batch_size):
        """The state before the first token: zeros, (conv, ssm)."""
        refuse_state(self)
        c = self.config
        conv = tf.zeros((c.n_layer, batch_size, c.d_conv - 1, c.d_inner), self.compute_dtype)
        return conv, tf.zeros((c.n_layer, batch_size, c.d_state, c.d_inner), self.wide_dtype)


def _stack(states):
    conv, ssm = zip(*states, strict=True)
    return tf.stack(conv), tf.stack(ssm)


def unstack(state):
    """The stacked state as a list with (conv, ssm) of each block."""
    return list(zip(*map(tf.unstack, state), strict=True))
