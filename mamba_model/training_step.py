"""Training as one XLA-compiled function: forward, backward, optimizer and weight averaging.

`CompiledTraining` is a Keras model whose `compile` and `fit` work as ever, with every
callback. It does not use Keras's own `jit_compile`, which Keras drops while
deterministic ops are asked for; a function compiled inside the training step stays both
compiled and deterministic. Only training and evaluation steps are compiled: calling,
predicting and exporting the model are not, because TensorFlow Serving runs no
XLA-compiled function unless started with a flag.
"""

import keras
import tensorflow as tf


class CompiledTraining(keras.Model):
    """A model whose `train_step` and `test_step` are compiled with XLA.

    XLA compiles anew for each shape of a batch, which takes seconds: give it few shapes.

    The model brings its own loss: `score(y, predictions)` returns (loss, correct, weight),
    three float tensors of one shape, per item; what is minimised, and shown as `loss` and
    `accuracy`, is their average by weight. A sample weight multiplies `weight`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.accuracy_tracker = keras.metrics.Mean(name="accuracy")

    def score(self, y, predictions):
        raise NotImplementedError(f"{type(self).__name__} must define score(y, predictions)")

    def compile(self, optimizer, run_eagerly=False, steps_per_execution=1):
        """As `keras.Model.compile`, without loss and metrics, which are the model's own.

        Weight decay, if the optimizer has it, is for matrices only: vectors (biases, norms,
        D) and A_log are left out. The authors' code marks A_log and D so and leaves the rest
        to the trainer; decaying what has two or more axes is nanoGPT's rule. Decay on A_log
        would pull every state to the same time scale.
        """
        if not optimizer.built:
            optimizer.exclude_from_weight_decay(
                [v for v in self.trainable_variables if len(v.shape) < 2 or v.name == "A_log"]
            )
        super().compile(
            optimizer=optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=False,
        )
        self.optimizer.build(self.trainable_variables)  # no variable may be made under XLA
        self._compiled_train = _compiled(self._train)
        self._compiled_test = _compiled(self._test)

    def get_compile_config(self):
        return {"optimizer": keras.saving.serialize_keras_object(self.optimizer)}

    def compile_from_config(self, config):
        self.compile(keras.saving.deserialize_keras_object(config["optimizer"]))

    @property
    def metrics(self):
        return [self.loss_tracker, self.accuracy_tracker]

    def train_step(self, data):
        return self._train(data) if self.run_eagerly else self._compiled_train(data)

    def test_step(self, data):
        return self._test(data) if self.run_eagerly else self._compiled_test(data)

    def _train(self, data):
        with tf.GradientTape() as tape:
            loss = self.optimizer.scale_loss(self._measure(data, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return self.get_metrics_result()

    def _test(self, data):
        self._measure(data, training=False)
        return self.get_metrics_result()

    def _measure(self, data, training):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        loss, correct, weight = self.score(y, self(x, training=training))
        if sample_weight is not None:
            weight = weight * tf.cast(sample_weight, weight.dtype)
        self.loss_tracker.update_state(loss, weight)
        self.accuracy_tracker.update_state(correct, weight)
        return tf.math.divide_no_nan(tf.reduce_sum(loss * weight), tf.reduce_sum(weight))


def _compiled(step):
    """`step` under XLA, as a plain function: a tf.function that is an attribute of a model
    is saved with it, and these must not reach an export.
    """
    compiled = tf.function(step, jit_compile=True, autograph=False)
    return lambda data: compiled(data)


def adamw(
    learning_rate,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.95,
    weight_decay: float = 0.1,
    clip_norm: float | None = 1.0,
    average: float | None = None,
) -> keras.optimizers.AdamW:
    """AdamW as Mamba is trained with.

    Args:
        learning_rate: a float or a Keras schedule.
        weight_decay: share by which a matrix shrinks a step, times the learning rate; see
            `CompiledTraining.compile` for what does not decay.
        clip_norm: bound on the global norm of the gradients; None: no bound.
        average: momentum of the exponential moving average of the weights, which replaces
            them when `fit` ends; None: no average.

    Source of the defaults: Gu and Dao, arXiv:2312.00752, appendix E.2.
    """
    return keras.optimizers.AdamW(
        learning_rate,
        weight_decay=weight_decay,
        beta_1=beta_1,
        beta_2=beta_2,
        global_clipnorm=clip_norm,
        use_ema=average is not None,
        ema_momentum=0.99 if average is None else average,
    )
