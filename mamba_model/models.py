"""The models: the backbone with a head, and what each is scored by.

    NextTokenModel     tokens (b, l) -> logits (b, l, vocabulary_size), tied to the embedding
    SentimentModel     tokens (b, l) -> logit (b,) of the positive class
    SentimentEnsemble  the same, by several sentiment models

Id 0 is padding, always on the right: it is no target, and no head sees it.
"""

import keras
import tensorflow as tf

from mamba_model.backbone import MambaBackbone
from mamba_model.block import register
from mamba_model.config import MambaConfig
from mamba_model.training_step import CompiledTraining

PADDING = 0


class _Configured(CompiledTraining):
    """Made from its config alone, with all weights from the start.

    Dropout is set by `keras.utils.set_random_seed` before the model is made: each layer takes
    a seed of its own from it, and step k of training draws by (seed, k). XLA draws other
    numbers by them than plain TensorFlow does; each draws the same ones every time.
    """

    def __init__(self, config: MambaConfig, **kwargs):
        super().__init__(autocast=False, **kwargs)  # a state keeps the dtype that it has
        self.supports_masking = True  # passed on to the blocks
        self.config = config

    def get_config(self):
        return {**super().get_config(), "config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        return cls(MambaConfig.from_dict(config.pop("config")), **config)


class _Task(_Configured):
    """A backbone under a head."""

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
class NextTokenModel(_Task):
    """Predicts each position's next token.

    Call: tokens (b, l) int; `mask` (b, l) bool, True where real; `state` and `return_state`
    as the backbone's, for text longer than a window. Logits are float32.

    Targets for `fit` are tokens (b, l), those with id 0 are left out of loss and accuracy.
    Loss is in nats per token.
    """

    def __init__(self, config: MambaConfig, **kwargs):
        if config.bidirectional:
            raise ValueError(
                "NextTokenModel: MambaConfig.bidirectional is True, so that each position would "
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
        """(..., d_model) -> (..., vocabulary_size) float32, by the embedding's own matrix."""
        table = tf.cast(self.backbone.embedding.embeddings, features.dtype)
        return tf.cast(tf.matmul(features, table, transpose_b=True), tf.float32)

    def stepper(self):
        """A function of token (b,) int and states that returns logits (b, vocabulary_size)
        and the next states, for loops over many tokens; see `MambaBackbone.stepper`.
        """
        step = self.backbone.stepper()
        # Turned once: a product with the turned matrix is 3 times faster at batch 16.
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
        # A maximum, not an argmax: XLA runs it several times faster. Ties count as correct.
        of_target = tf.gather(predictions, y, batch_dims=2)
        correct = tf.cast(of_target >= tf.reduce_max(predictions, axis=-1), tf.float32)
        return loss, correct, tf.cast(y != PADDING, tf.float32)


@register
class SentimentModel(_Task):
    """Classifies a text as negative or positive.

    Features are pooled over real positions as `MambaConfig.pooling` says: their mean, their
    maximum, both side by side, or the features of the last one. A text of padding alone pools
    to zeros. In a bidirectional model only the first direction has seen the whole text at
    the last position, the other no more than that token: take another pooling there.

    Targets for `fit` are 0 or 1, (b,). Logits are float32.
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
        """Tokens (b, l) to the pooled features that the head sees, (b, d_model) float32, or
        (b, 2 d_model) where `MambaConfig.pooling` is "mean_max".
        """
        mask = tf.not_equal(tokens, PADDING)
        features = self.backbone(tokens, mask=mask, training=training)
        features = self.output_dropout(features, training=training)
        # 16 bits could not even count positions beyond 256.
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
    """Sentiment models of one size that answer together, by the mean of their logits.

    They are trained side by side on the same batches, each by its own loss, and differ by what
    Keras's random seed draws: first weights and dropout. Targets are those of SentimentModel.

    Args:
        config: of each member.
        members: how many there are, from 1.
    """

    def __init__(self, config: MambaConfig, members: int, **kwargs):
        super().__init__(config, **kwargs)
        with keras.name_scope(self.name):  # or two weights would have one path
            self.members = [
                SentimentModel(config, dtype=self.dtype_policy, name=f"member_{i}")
                for i in range(members)
            ]
        self.built = True  # as they are

    @property
    def backbones(self):
        return [member.backbone for member in self.members]

    def call(self, tokens, training=False):
        """The logit (b,); while training those of the members, (b, members)."""
        logits = tf.stack([member(tokens, training=training) for member in self.members], axis=1)
        return logits if training else tf.reduce_mean(logits, axis=1)

    def embed(self, tokens, training=False):
        """The members' pooled features side by side, (b, members * width) float32."""
        return tf.concat([member.embed(tokens, training=training) for member in self.members], 1)

    def score(self, y, predictions, label_smoothing=0.0):
        """Means over the members, where `predictions` has theirs."""
        count = 1 if predictions.shape.rank == 1 else len(self.members)
        of_each = self.members[0].score(
            tf.repeat(tf.reshape(y, [-1]), count), tf.reshape(predictions, [-1]), label_smoothing
        )
        return tuple(tf.reduce_mean(tf.reshape(part, [-1, count]), axis=1) for part in of_each)

    def get_config(self):
        return {**super().get_config(), "members": len(self.members)}


def _pool(features, mask, pooling):
    """(b, l, d) over the real positions to (b, d), "mean_max" to (b, 2 d); 0 if none is real."""
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
