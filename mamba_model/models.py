"""The models: a backbone with a head, a loss and an accuracy.

    NextTokenModel     tokens (b, l) -> logits (b, l, vocabulary_size), tied to the embedding
    SentimentModel     tokens (b, l) -> logit (b,) of the positive class
    SentimentEnsemble  the same, from several sentiment models

Id 0 is padding, always on the right. It is never a target, and heads ignore it.
"""

import keras
import tensorflow as tf

from mamba_model.backbone import MambaBackbone
from mamba_model.block import SavedByConfig, register
from mamba_model.config import MambaConfig
from mamba_model.training_step import CompiledTraining

PADDING = 0


class _Configured(SavedByConfig, CompiledTraining):
    """A model defined by its config alone, with all weights from the start.

    `keras.utils.set_random_seed`, called before the model is created, determines dropout: each
    layer takes its own seed from it, and step k of training draws by (seed, k). Draws are
    reproducible, but XLA's differ from plain TensorFlow's.
    """

    def __init__(self, config: MambaConfig, **kwargs):
        super().__init__(autocast=False, **kwargs)  # states keep their dtype
        self.supports_masking = True  # passed on to the blocks
        self.config = config


class _HeadedModel(_Configured):
    """A backbone with a head."""

    def __init__(self, config: MambaConfig, **kwargs):
        super().__init__(config, **kwargs)
        self.backbone = MambaBackbone(config, dtype=self.dtype_policy, name="backbone")
        self.output_dropout = keras.layers.Dropout(config.output_dropout, dtype=self.dtype_policy)

    def build(self, tokens_shape=None):
        self.backbone.build((None, None))

    @property
    def backbones(self):
        return [self.backbone]


@register
class NextTokenModel(_HeadedModel):
    """Predicts the next token at each position.

    Call: tokens (b, l) int; `mask` (b, l) bool, True at real tokens; `state` and
    `return_state` as in MambaBackbone, for text longer than a window. Logits are float32.

    Targets of `fit` are tokens (b, l); loss and accuracy leave out id 0. Loss is in nats per
    token.
    """

    def __init__(self, config: MambaConfig, **kwargs):
        if config.bidirectional:
            raise ValueError(
                "NextTokenModel: MambaConfig.bidirectional is True, so each position would "
                "see the token it has to predict. Use MambaConfig(bidirectional=False), or "
                "SentimentModel."
            )
        super().__init__(config, **kwargs)
        self.build()

    def call(self, tokens, mask=None, state=None, return_state=False, training=False):
        features = self.backbone(
            tokens, mask=mask, state=state, return_state=return_state, training=training
        )
        if return_state:
            features, state = features
        logits = self.logits(self.output_dropout(features, training=training))
        return (logits, state) if return_state else logits

    def logits(self, features):
        """(..., d_model) -> (..., vocabulary_size) float32, with the embedding matrix."""
        table = tf.cast(self.backbone.embedding.embeddings, features.dtype)
        return tf.cast(tf.matmul(features, table, transpose_b=True), tf.float32)

    def stepper(self):
        """One step of generation, for loops over many tokens; see `MambaBackbone.stepper`.

        Returns a function of token (b,) int and states that returns logits (b,
        vocabulary_size) and the next states.
        """
        step = self.backbone.stepper()
        # Transposed once: that makes the product 3 times faster at batch 16.
        table = tf.convert_to_tensor(self.backbone.embedding.embeddings)
        table = tf.transpose(tf.cast(table, self.compute_dtype))  # (d_model, vocabulary_size)

        def logits(token, states):
            features, states = step(token, states)
            return tf.cast(tf.matmul(features, table), tf.float32), states

        return logits

    def score(self, y, predictions, label_smoothing=0.0):
        y = tf.cast(y, tf.int32)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, predictions)  # (b, l)
        if label_smoothing:
            of_all = tf.reduce_logsumexp(predictions, -1) - tf.reduce_mean(predictions, -1)
            loss = (1 - label_smoothing) * loss + label_smoothing * of_all
        # XLA runs a maximum several times faster than an argmax. Ties count as correct.
        of_target = tf.gather(predictions, y, batch_dims=2)
        correct = tf.cast(of_target >= tf.reduce_max(predictions, axis=-1), tf.float32)
        return loss, correct, tf.cast(y != PADDING, tf.float32)


@register
class SentimentModel(_HeadedModel):
    """Classifies a text as negative or positive.

    `MambaConfig.pooling` pools the features over real positions: their mean, their maximum,
    both side by side, or the features of the last position. A text of padding alone pools to
    zeros. In a bidirectional model use another pooling than "last": there the backward
    direction has seen no more than the last token.

    Targets of `fit` are 0 or 1, (b,). Logits are float32.
    """

    def __init__(self, config: MambaConfig, **kwargs):
        super().__init__(config, **kwargs)
        self.pooled_dropout = keras.layers.Dropout(config.pooled_dropout, dtype=self.dtype_policy)
        self.head = keras.layers.Dense(1, dtype=self.dtype_policy, name="head")
        self.build()

    def build(self, tokens_shape=None):
        super().build(tokens_shape)
        parts = 2 if self.config.pooling == "mean_max" else 1
        self.head.build((None, parts * self.config.d_model))

    def call(self, tokens, training=False):
        pooled = self.embed(tokens, training=training)
        logit = self.head(self.pooled_dropout(pooled, training=training))
        return tf.cast(logit[:, 0], tf.float32)

    def embed(self, tokens, training=False):
        """The head's input: tokens (b, l) to pooled features float32.

        Their shape is (b, 2 d_model) if `MambaConfig.pooling` is "mean_max", else (b, d_model).
        """
        mask = tf.not_equal(tokens, PADDING)
        features = self.backbone(tokens, mask=mask, training=training)
        features = self.output_dropout(features, training=training)
        # bfloat16 cannot even count positions beyond 256.
        features = tf.cast(features, self.backbone.wide_dtype)
        return _pool(features, mask, self.config.pooling)

    def score(self, y, predictions, label_smoothing=0.0):
        y = tf.cast(tf.reshape(y, tf.shape(predictions)), tf.float32)
        smooth = (1 - label_smoothing) * y + label_smoothing / 2
        loss = tf.nn.sigmoid_cross_entropy_with_logits(smooth, predictions)  # (b,)
        correct = tf.cast(tf.equal(predictions > 0, y > 0.5), tf.float32)
        return loss, correct, tf.ones_like(loss)


@register
class SentimentEnsemble(_Configured):
    """Sentiment models of the same size; the answer is the mean of their logits.

    The members train side by side on the same batches, each with its own loss. They differ in
    first weights and dropout, which Keras's random seed determines. Targets are those of
    SentimentModel.

    Args:
        config: of each member.
        members: how many, from 1.
    """

    def __init__(self, config: MambaConfig, members: int, **kwargs):
        super().__init__(config, **kwargs)
        with keras.name_scope(self.name):  # makes the paths of weights unique
            self.members = [
                SentimentModel(config, dtype=self.dtype_policy, name=f"member_{i}")
                for i in range(members)
            ]
        self.built = True  # as the members are

    @property
    def backbones(self):
        return [member.backbone for member in self.members]

    def call(self, tokens, training=False):
        """The logit (b,); in training the logits of the members, (b, members)."""
        logits = tf.stack([member(tokens, training=training) for member in self.members], axis=1)
        return logits if training else tf.reduce_mean(logits, axis=1)

    def embed(self, tokens, training=False):
        """The members' pooled features side by side, (b, members * width) float32."""
        return tf.concat([member.embed(tokens, training=training) for member in self.members], 1)

    def score(self, y, predictions, label_smoothing=0.0):
        """Means over the members if `predictions` are the members' logits (b, members)."""
        count = 1 if predictions.shape.rank == 1 else len(self.members)
        of_each = self.members[0].score(
            tf.repeat(tf.reshape(y, [-1]), count), tf.reshape(predictions, [-1]), label_smoothing
        )
        return tuple(tf.reduce_mean(tf.reshape(part, [-1, count]), axis=1) for part in of_each)

    def get_config(self):
        return {**super().get_config(), "members": len(self.members)}


def _pool(features, mask, pooling):
    """Pools (b, l, d) over real positions to (b, d) or (b, 2 d); to 0 if there are none."""
    real = mask[..., None]  # (b, l, 1)
    count = tf.reduce_sum(tf.cast(real, features.dtype), axis=1)  # (b, 1)
    zeros = tf.zeros_like(features)
    pooled = []
    if pooling in ("mean", "mean_max"):
        total = tf.reduce_sum(tf.where(real, features, zeros), axis=1)
        pooled.append(total / tf.maximum(count, 1))
    if pooling in ("max", "mean_max"):
        top = tf.reduce_max(tf.where(real, features, zeros + features.dtype.min), axis=1)
        pooled.append(tf.where(count > 0, top, tf.zeros_like(top)))
    if pooling == "last":
        positions = tf.range(tf.shape(mask)[1])
        last = tf.reduce_max(tf.where(mask, positions, 0), axis=1)  # (b,)
        at_last = tf.gather(features, last, batch_dims=1)
        pooled.append(tf.where(count > 0, at_last, tf.zeros_like(at_last)))
    return tf.concat(pooled, axis=-1)
