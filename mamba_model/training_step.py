"""Training as XLA-compiled functions: forward, backward, optimizer and weight averaging.

`CompiledTraining` is a Keras model whose `compile` and `fit` work as ever, with every
callback. What differs from Keras's own `jit_compile`:

  * Keras drops it while deterministic ops are asked for; here the step stays both compiled
    and deterministic.
  * XLA runs a loop such as the scan on one core. So a batch is split into shards, whose
    gradients are computed side by side and then added: exactly the gradient of the batch.
  * Only training and evaluation steps are compiled. Calling, predicting and exporting are
    not: TensorFlow Serving runs no XLA-compiled function unless started with a flag.
"""

import contextlib

import keras
import tensorflow as tf

from mamba_model import native_scan

SHARDS = 4  # fixed, not the machine's cores: sums in another order give other last bits


class CompiledTraining(keras.Model):
    """A model whose `train_step` and `test_step` are compiled with XLA.

    XLA compiles anew for each shape of a batch, which takes seconds: give it few shapes.

    The model brings its own loss: `score(y, predictions, label_smoothing)` returns (loss,
    correct, weight), three float tensors of one shape, per item; what is minimised, and shown
    as `loss` and `accuracy`, is their average by weight. A sample weight multiplies `weight`.

    Its variables that are not trained must all be seeds of dropout, (2,) int each.
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
        spread=None,
    ):
        """As `keras.Model.compile`, without loss and metrics, which are the model's own.

        Weight decay, if the optimizer has it, is for matrices only: vectors (biases, norms,
        D) and A_log are left out. The authors' code marks A_log and D so and leaves the rest
        to the trainer; decaying what has two or more axes is nanoGPT's rule. Decay on A_log
        would pull every state to the same time scale.

        Args:
            optimizer: a Keras optimizer.
            run_eagerly, steps_per_execution: as in Keras.
            shards: parts of a batch whose gradients are computed side by side, from 1; at
                least as many as there are cores is fastest. Results depend on it in the last bits.
            scan: "xla", or "native" to take gradients through the scan in C++, which is
                faster and has other last bits (mamba_model/native_scan.py).
            label_smoothing: share of the target that goes to all classes evenly, while
                training; from 0, below 1. Source: Szegedy et al., arXiv:1512.00567, section 7.
            spread: who computes which shard; None: this process all. Several processes that
                hold the same weights and get the same batches may share the work:
                `spread(compute, like)` returns, in order, the results of all shards, of which
                `compute(i)` gives that of shard i, a structure of tensors of the dtypes and
                shapes of `like[i]`. No bit of the training depends on it.

        Raises:
            ValueError: on another value of `shards`, `scan` or `label_smoothing`.
            NativeScanError: if the native scan cannot be built here.
        """
        if not isinstance(shards, int) or shards < 1:
            raise ValueError(f"compile: shards must be an integer of at least 1, got {shards!r}")
        if scan not in ("xla", "native"):
            raise ValueError(f'compile: scan must be "xla" or "native", got {scan!r}')
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"compile: label_smoothing must be in [0, 1), got {label_smoothing!r}")
        if scan == "native":
            native_scan.load()  # here, where it can still be mended, not in the first step
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
        self.optimizer.build(self.trainable_variables)  # no variable may be made under XLA
        self.shards, self.scan, self.label_smoothing = shards, scan, label_smoothing
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
        }

    def compile_from_config(self, config):
        self.compile(
            **{**config, "optimizer": keras.saving.deserialize_keras_object(config["optimizer"])}
        )

    @property
    def metrics(self):
        return [self.loss_tracker, self.accuracy_tracker]

    def train_step(self, data, state=None):
        """One update; returns the metrics so far, and this step's `gradient_norm`, unclipped.

        With `state`, a state of the model whose tensors have the batch as their second axis,
        the rows go on from there; no gradient flows back into it. Then the result is
        (metrics, state), the state after the batch.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        weights = [tf.convert_to_tensor(v) for v in self.trainable_variables]
        seeds = [tf.convert_to_tensor(v) for v in self.non_trainable_variables]
        # Nothing that a shard needs is a variable, so that shards need not wait in turn.
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
                sums = self._sums(y, predictions, sample_weight, self.label_smoothing)
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
            seed.assign(seed + tf.constant([0, 1], seed.dtype))  # as drawing from it does
        return self._track(loss, correct, weight) | {
            "gradient_norm": tf.linalg.global_norm(gradients)
        }

    def _test(self, data, state):
        x, y, sample_weight = data
        predictions = self(x, training=False, **_carrying(state))
        if state is not None:
            predictions, state = predictions
        return self._track(*self._sums(y, predictions, sample_weight)), state

    def _sums(self, y, predictions, sample_weight, label_smoothing=0.0):
        loss, correct, weight = self.score(y, predictions, label_smoothing)
        if sample_weight is not None:
            weight = weight * tf.cast(sample_weight, weight.dtype)
        return tf.reduce_sum(loss * weight), tf.reduce_sum(correct * weight), tf.reduce_sum(weight)

    def _track(self, loss, correct, weight):
        self.loss_tracker.update_state(tf.math.divide_no_nan(loss, weight), weight)
        self.accuracy_tracker.update_state(tf.math.divide_no_nan(correct, weight), weight)
        return self.get_metrics_result()


def _hidden(functions):
    """Looks up in `functions`. A tf.function found on a model is saved with it, and these
    must not reach an export; Keras does not look into a plain function.
    """
    return lambda name: functions[name]


def _all_here(compute, like):
    """See `spread` of `CompiledTraining.compile`."""
    return [compute(i) for i in range(len(like))]


def shards_of(batch: int, shards: int = SHARDS) -> int:
    """The parts that a batch of so many rows is split into, at most `shards`.

    A part has two rows at least: XLA takes several times as long a row over one alone.
    """
    return max(1, min(shards, batch // 2))


def _carrying(state):
    """Arguments of a model's call that go on from `state`, if there is one."""
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
    """Another seed for each shard, or all would drop the same places."""
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
    """AdamW as Mamba is trained with.

    Args:
        learning_rate: a float or a Keras schedule.
        weight_decay: share by which a matrix shrinks a step, times the learning rate; see
            `CompiledTraining.compile` for what does not decay.
        clip_norm: bound on the global norm of the gradients; None: no bound.
        average: momentum of the exponential moving average of the weights, which replaces
            them when `fit` ends; None: no average.
        accumulate: steps whose gradients are averaged before the weights move; what the
            schedule counts are moves.

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
