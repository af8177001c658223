"""The models: a backbone with a head, a loss and an accuracy.

    NextTokenModel          tokens (b, l) -> logits (b, l, vocabulary_size), tied to the embedding
    TextClassifier          tokens (b, l) -> logits (b, n) of n classes
    TextClassifierEnsemble  the same, from several classifiers

Id 0 is padding, always on the right. It is never a target, and heads ignore it.
"""

import keras
import tensorflow as tf

from mamba_model.backbone import MambaBackbone
from mamba_model.block import SavedByConfig, register
from mamba_model.config import MambaConfig
from mamba_model.projection import Projection, matmul
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
                "TextClassifier."
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
        return tf.cast(matmul(features, table, transpose_b=True), tf.float32)

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
            return tf.cast(matmul(features, table), tf.float32), states

        return logits

    def score(self, y, predictions, label_smoothing=0.0):
        y = tf.cast(y, tf.int32)
        loss = _cross_entropy(y, predictions, label_smoothing)  # (b, l)
        # XLA runs a maximum several times faster than an argmax. Ties count as correct.
        of_target = tf.gather(predictions, y, batch_dims=2)
        correct = tf.cast(of_target >= tf.reduce_max(predictions, axis=-1), tf.float32)
        return loss, correct, tf.cast(y != PADDING, tf.float32)


@register
class TextClassifier(_HeadedModel):
    """Tells to which of n classes a text belongs.

    The head is a multinomial logit: the first class is the reference, whose logit is always 0,
    and the head computes the logits of the others. With two classes, the softmax of (0, z) is
    sigmoid(z) for the second, so this is logistic regression on the pooled features.
    Source: McFadden, "Conditional logit analysis of qualitative choice behavior" (1974).

    `MambaConfig.pooling` pools the features over real positions: their mean, their maximum,
    both side by side, or the features of the last position. A text of padding alone pools to
    zeros. In a bidirectional model use another pooling than "last": there the backward
    direction has seen no more than the last token.

    Call: tokens (b, l) int to logits (b, n) float32. Targets of `fit` are classes (b,) int,
    from 0. Of equal logits, the first is the answer.

    Args:
        classes: how many, n, from 2.
    """

    def __init__(self, config: MambaConfig, classes: int, **kwargs):
        if classes < 2:
            raise ValueError(f"TextClassifier: classes must be at least 2, got {classes!r}")
        super().__init__(config, **kwargs)
        self.classes = classes
        self.pooled_dropout = keras.layers.Dropout(config.pooled_dropout, dtype=self.dtype_policy)
        self.head = Projection(classes - 1, dtype=self.dtype_policy, name="head")
        self.build()

    def build(self, tokens_shape=None):
        super().build(tokens_shape)
        parts = 2 if self.config.pooling == "mean_max" else 1
        self.head.build((None, parts * self.config.d_model))

    def call(self, tokens, training=False):
        pooled = self.embed(tokens, training=training)
        logits = self.head(self.pooled_dropout(pooled, training=training))  # (b, n - 1)
        return tf.pad(tf.cast(logits, tf.float32), [[0, 0], [1, 0]])  # (b, n)

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
        y = tf.cast(tf.reshape(y, [-1]), tf.int32)
        loss = _cross_entropy(y, predictions, label_smoothing)  # (b,)
        answer = tf.argmax(predictions, axis=-1, output_type=tf.int32)
        return loss, tf.cast(tf.equal(answer, y), tf.float32), tf.ones_like(loss)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


@register
class TextClassifierEnsemble(_Configured):
    """Text classifiers of the same size; the answer is the mean of their logits.

    The members train side by side on the same batches, each with its own loss. They differ in
    first weights and dropout, which Keras's random seed determines. Targets are those of
    TextClassifier.

    Args:
        config, classes: of each member.
        members: how many, from 1.
    """

    def __init__(self, config: MambaConfig, classes: int, members: int, **kwargs):
        super().__init__(config, **kwargs)
        self.classes = classes
        with keras.name_scope(self.name):  # makes the paths of weights unique
            self.members = [
                TextClassifier(config, classes, dtype=self.dtype_policy, name=f"member_{i}")
                for i in range(members)
            ]
        self.built = True  # as the members are

    @property
    def backbones(self):
        return [member.backbone for member in self.members]

    def call(self, tokens, training=False):
        """The logits (b, n); in training those of each member, (b, members, n)."""
        logits = tf.stack([member(tokens, training=training) for member in self.members], axis=1)
        return logits if training else tf.reduce_mean(logits, axis=1)

    def embed(self, tokens, training=False):
        """The members' pooled features side by side, (b, members * width) float32."""
        return tf.concat([member.embed(tokens, training=training) for member in self.members], 1)

    def score(self, y, predictions, label_smoothing=0.0):
        """Means over the members if `predictions` are the members' logits (b, members, n)."""
        count = 1 if predictions.shape.rank == 2 else len(self.members)
        of_each = self.members[0].score(
            tf.repeat(tf.reshape(y, [-1]), count),
            tf.reshape(predictions, [-1, self.classes]),
            label_smoothing,
        )
        return tuple(tf.reduce_mean(tf.reshape(part, [-1, count]), axis=1) for part in of_each)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes, "members": len(self.members)}


def _cross_entropy(y, logits, label_smoothing):
    """Classes (...) int and logits (..., n) to the loss (...), in nats.

    With smoothing s, the target is 1 - s at the class of `y`, plus s / n at every class.
    """
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
    if label_smoothing:
        of_all = tf.reduce_logsumexp(logits, -1) - tf.reduce_mean(logits, -1)
        loss = (1 - label_smoothing) * loss + label_smoothing * of_all
    return loss


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
