"""XLA-compiled training: forward and backward pass, optimizer and weight averaging.

`CompiledTraining` is a Keras model; `compile` and `fit` work as usual, with all callbacks. It
differs from Keras's own `jit_compile`:

  * Keras ignores `jit_compile` if deterministic ops are enabled; here the step is both
    compiled and deterministic.
  * XLA runs a loop such as the scan on one core. So a batch is split into shards, whose
    gradients are computed in parallel and then added: exactly the gradient of the batch.
  * Only training and evaluation steps are compiled. Calls, predictions and exports are not, as
    TensorFlow Serving runs XLA-compiled functions only if started with a flag.
"""

import contextlib

import keras
import tensorflow as tf

from mamba_model import native_scan

SHARDS = 4  # independent of the number of cores, as it changes the last bits of sums


class CompiledTraining(keras.Model):
    """A model whose `train_step` and `test_step` are compiled with XLA.

    XLA compiles again for each shape of a batch, which takes seconds, so use few shapes.

    The model defines its own loss: `score(y, predictions, label_smoothing)` returns (loss,
    correct, weight), float tensors of the same shape, per item. Their averages by weight are
    `loss`, which is minimized, and `accuracy`. A sample weight multiplies `weight`.

    All non-trainable variables must be dropout seeds, (2,) int each.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.accuracy_tracker = keras.metrics.Mean(name="accuracy")

    def score(self, y, predictions, label_smoothing=0.0):
        raise NotImplementedError(
            f"{type(self).__name__} must define score(y, predictions, label_smoothing)"
        )

    def compile(
        self,
        optimizer,
        run_eagerly=False,
        steps_per_execution=1,
        shards: int = SHARDS,
        scan: str = "xla",
        label_smoothing: float = 0.0,
        class_weights=None,
        spread=None,
    ):
        """As `keras.Model.compile`, but without loss and metrics, which the model defines.

        Weight decay applies only to matrices, not to vectors (biases, norms, D) and A_log. The
        authors' code exempts A_log and D, and leaves the rest to the trainer; decaying only
        variables with two or more axes is nanoGPT's rule. Decay of A_log would pull all states
        to the same time scale.

        Args:
            optimizer: a Keras optimizer.
            run_eagerly, steps_per_execution: as in Keras.
            shards: parts of a batch whose gradients are computed in parallel, from 1. Fastest
                with at least one per core. Changes the last bits of results.
            scan: "xla", or "native" for gradients by the scan in C++ (native_scan.py), which
                is faster and differs in the last bits.
            label_smoothing: share of the target that is spread over all classes in training,
                in [0, 1). Source: Szegedy et al., arXiv:1512.00567, section 7.
            class_weights: (n,) floats, by which the loss of an item of each class is multiplied
                in training; None: all are 1. Unlike a sample weight, they change neither
                `accuracy` nor the number by which the sum of losses is divided.
            spread: distributes the shards to several processes that hold the same weights and
                get the same batches; None: this process computes all. `spread(compute, like)`
                returns the results of all shards in order. `compute(i)` returns the result of
                shard i: a structure of tensors with the dtypes and shapes of `like[i]`. The
                result of training does not depend on it.

        Raises:
            ValueError: on an invalid value of `shards`, `scan` or `label_smoothing`.
            NativeScanError: if the native scan cannot be built here.
        """
        if not isinstance(shards, int) or shards < 1:
            raise ValueError(f"compile: shards must be an integer of at least 1, got {shards!r}")
        if scan not in ("xla", "native"):
            raise ValueError(f'compile: scan must be "xla" or "native", got {scan!r}')
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"compile: label_smoothing must be in [0, 1), got {label_smoothing!r}")
        if scan == "native":
            native_scan.load()  # fails here rather than in the first step
        if not optimizer.built:
            optimizer.exclude_from_weight_decay(
                [v for v in self.trainable_variables if len(v.shape) < 2 or v.name == "A_log"]
            )
        super().compile(
            optimizer=optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=False,
            auto_scale_loss=False,
        )
        self.optimizer.build(self.trainable_variables)  # XLA functions may create no variables
        self.shards, self.scan, self.label_smoothing = shards, scan, label_smoothing
        self.class_weights = None if class_weights is None else [*map(float, class_weights)]
        self._spread = spread or _all_here
        self._compiled = _hidden(
            {
                step: tf.function(getattr(self, step), jit_compile=True, autograph=False)
                for step in ("_gradients", "_update", "_test")
            }
        )

    def get_compile_config(self):
        optimizer = keras.saving.serialize_keras_object(self.optimizer)
        return {
            "optimizer": optimizer,
            "shards": self.shards,
            "scan": self.scan,
            "label_smoothing": self.label_smoothing,
            "class_weights": self.class_weights,
        }

    def compile_from_config(self, config):
        self.compile(
            **{**config, "optimizer": keras.saving.deserialize_keras_object(config["optimizer"])}
        )

    @property
    def metrics(self):
        return [self.loss_tracker, self.accuracy_tracker]

    def train_step(self, data, state=None):
        """One update; returns the metrics so far, and this step's unclipped `gradient_norm`.

        `state`, whose tensors have the batch as their second axis, continues the rows of an
        earlier batch; no gradient flows back into it. Then the result is (metrics, state), with
        the state after this batch.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        weights = [tf.convert_to_tensor(v) for v in self.trainable_variables]
        seeds = [tf.convert_to_tensor(v) for v in self.non_trainable_variables]
        # Shards read tensors only, as reads of variables would run one after another.
        shards = _split((x, y, sample_weight), self.shards)
        states = [None] * len(shards) if state is None else _split(state, self.shards, axis=1)

        def compute(i):
            own_seeds = [_for_shard(seed, i) for seed in seeds]
            return self._run("_gradients", shards[i], weights, own_seeds, states[i])

        sums = (tf.constant(0.0),) * 3
        results = self._spread(compute, [(weights, sums, before) for before in states])
        metrics = self._run("_update", [(gradients, sums) for gradients, sums, _ in results])
        if state is None:
            return metrics
        after = [next_state for *_, next_state in results]
        return metrics, tf.nest.map_structure(lambda *parts: tf.concat(parts, 1), *after)

    def test_step(self, data, state=None):
        """The metrics so far; with `state`, (metrics, state) as `train_step`."""
        metrics, after = self._run("_test", keras.utils.unpack_x_y_sample_weight(data), state)
        return metrics if state is None else (metrics, after)

    def _run(self, step, *arguments):
        function = getattr(self, step) if self.run_eagerly else self._compiled(step)
        return function(*arguments)

    def _gradients(self, data, weights, seeds, state=None):
        """A shard's gradients, its sums of loss, correct and weight, and its next state."""
        x, y, sample_weight = data
        native = self.scan == "native" and not self.run_eagerly
        with native_scan.native_scan() if native else contextlib.nullcontext():
            with tf.GradientTape() as tape:
                tape.watch(weights)
                predictions, _ = self.stateless_call(
                    weights, seeds, x, training=True, **_carrying(state)
                )
                if state is not None:
                    predictions, state = predictions
                sums = self._sums(
                    y, predictions, sample_weight, self.label_smoothing, self.class_weights
                )
            gradients = tape.gradient(sums[0], weights)
        return [tf.convert_to_tensor(gradient) for gradient in gradients], sums, state

    def _update(self, results):
        """Adds up the shards and takes the optimizer's step."""
        by_shard, sums = zip(*results, strict=True)
        loss, correct, weight = (sum(shards) for shards in zip(*sums, strict=True))
        gradients = [
            tf.math.divide_no_nan(sum(shards), weight) for shards in zip(*by_shard, strict=True)
        ]
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        for seed in self.non_trainable_variables:
            seed.assign(seed + tf.constant([0, 1], seed.dtype))  # as a draw from it does
        return self._track(loss, correct, weight) | {
            "gradient_norm": tf.linalg.global_norm(gradients)
        }

    def _test(self, data, state):
        x, y, sample_weight = data
        predictions = self(x, training=False, **_carrying(state))
        if state is not None:
            predictions, state = predictions
        return self._track(*self._sums(y, predictions, sample_weight)), state

    def _sums(self, y, predictions, sample_weight, label_smoothing=0.0, class_weights=None):
        loss, correct, weight = self.score(y, predictions, label_smoothing)
        if class_weights is not None:
            of_item = tf.gather(tf.constant(class_weights), tf.cast(y, tf.int32))
            loss = loss * tf.reshape(of_item, tf.shape(loss))
        if sample_weight is not None:
            weight = weight * tf.cast(sample_weight, weight.dtype)
        return tf.reduce_sum(loss * weight), tf.reduce_sum(correct * weight), tf.reduce_sum(weight)

    def _track(self, loss, correct, weight):
        self.loss_tracker.update_state(tf.math.divide_no_nan(loss, weight), weight)
        self.accuracy_tracker.update_state(tf.math.divide_no_nan(correct, weight), weight)
        return self.get_metrics_result()


def _hidden(functions):
    """A lookup in `functions` that hides them from Keras.

    Keras saves every tf.function that it finds on a model, but these must not be exported.
    """
    return lambda name: functions[name]


def _all_here(compute, like):
    """See `spread` of `CompiledTraining.compile`."""
    return [compute(i) for i in range(len(like))]


def shards_of(batch: int, shards: int = SHARDS) -> int:
    """The number of parts, at most `shards`, of a batch of `batch` rows.

    A part has at least two rows, as XLA takes several times as long per row for a single row.
    """
    return max(1, min(shards, batch // 2))


def _carrying(state):
    """Arguments of a model's call that continue from `state`, if there is one."""
    return {} if state is None else {"state": state, "return_state": True}


def _split(data, shards, axis=0):
    """Cuts the batch, `axis` of every tensor in `data`, into at most `shards` even parts."""
    b = tf.nest.flatten(data)[0].shape[axis]
    if b is not None:
        shards = shards_of(b, shards)
    else:
        b = tf.shape(tf.nest.flatten(data)[0])[axis]

    def part(i):
        rows = (*[slice(None)] * axis, slice(b * i // shards, b * (i + 1) // shards))
        return tf.nest.map_structure(lambda x: None if x is None else x[rows], data)

    return [part(i) for i in range(shards)]


def _for_shard(seed, shard: int):
    """A different seed for each shard, so that their dropout differs."""
    return seed + tf.constant([1_000_003 * shard, 0], seed.dtype)


def adamw(
    learning_rate,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.95,
    weight_decay: float = 0.1,
    clip_norm: float | None = 1.0,
    average: float | None = None,
    accumulate: int = 1,
) -> keras.optimizers.AdamW:
    """AdamW with the settings of Mamba's authors.

    Args:
        learning_rate: a float or a Keras schedule.
        weight_decay: times the learning rate, the share by which a matrix shrinks per step;
            `CompiledTraining.compile` says which variables do not decay.
        clip_norm: bound on the global norm of the gradients; None: no bound.
        average: momentum of the exponential moving average of the weights, which replaces
            them when `fit` ends; None: no average.
        accumulate: steps whose gradients are averaged for one update of the weights; the
            schedule counts updates.

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
        gradient_accumulation_steps=None if accumulate == 1 else accumulate,
    )
