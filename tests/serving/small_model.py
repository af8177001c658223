"""A small real SavedModel with every kind of signature that the server distinguishes."""

import shutil

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

LONGEST_TEXT = 20_000  # bytes that the small model accepts


def _text(name="text"):
    return tf.TensorSpec([None], tf.string, name=name)


CLASSES = ("few", "some", "many")


class SmallModel(tf.Module):
    """Answers with the share of vowels in a text as its "probability".

    The scores of the classes: how probable none, one or both of two of its bytes are vowels.
    """

    def __init__(self, bias):
        self.bias = tf.Variable(bias)

    def _probability(self, text):
        lengths = tf.strings.length(text)
        check = tf.debugging.assert_less_equal(lengths, LONGEST_TEXT, "the text is too long")
        with tf.control_dependencies([check]):
            vowels = tf.strings.length(tf.strings.regex_replace(text, "[^aeiou]", ""))
        return self.bias + tf.cast(vowels / tf.maximum(lengths, 1), tf.float32)

    def _classes(self, text):
        p = self._probability(text)
        classes = tf.tile([CLASSES], [tf.shape(text)[0], 1])
        return {
            "classes": classes,
            "scores": tf.stack([(1 - p) ** 2, 2 * p * (1 - p), p**2], axis=1),
        }

    @tf.function(input_signature=[_text()])
    def serving_default(self, text):
        answer = self._classes(text)
        label = tf.gather(tf.constant(CLASSES), tf.argmax(answer["scores"], axis=1))
        return {**answer, "probability": self._probability(text), "label": label}

    @tf.function(input_signature=[_text("inputs")])
    def classify(self, inputs):
        spec = {"text": tf.io.FixedLenFeature([], tf.string)}
        return self._classes(tf.io.parse_example(inputs, spec)["text"])

    @tf.function(
        input_signature=[
            _text(),
            tf.TensorSpec([None], tf.int32, name="work"),
            tf.TensorSpec([None], tf.float32, name="scale"),
        ]
    )
    def slow(self, text, work, scale):
        """Takes about `work` ms, and returns the number of rows that ran together."""
        matrix = tf.ones([192, 192]) / 192

        def body(i, matrix):
            return i + 1, tf.matmul(matrix, matrix)

        steps = tf.reduce_max(tf.concat([work, [0]], 0)) * 6
        _, matrix = tf.while_loop(lambda i, _: i < steps, body, (0, matrix))
        rows = tf.shape(text)[0]
        return {
            "rows": tf.fill([rows], rows) + tf.cast(0 * matrix[0, 0], tf.int32),
            "scaled": tf.cast(tf.strings.length(text), tf.float32) * scale,
            "text_bytes": text,
        }

    @tf.function(input_signature=[tf.TensorSpec([2, None], tf.int64, name="pairs")])
    def sums(self, pairs):
        return {"sums": tf.reduce_sum(pairs, axis=0)}


def save(folder, bias=0.0, warm_up=True):
    """Saves the small model as a version, atomically."""
    model = SmallModel(bias)
    unfinished = folder.with_name(f".{folder.name}")
    signatures = {
        name: getattr(model, name) for name in ("serving_default", "classify", "slow", "sums")
    }
    tf.saved_model.save(model, str(unfinished), signatures=signatures)
    file = unfinished / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    definitions = proto.meta_graphs[0].signature_def
    definitions["classify"].method_name = "tensorflow/serving/classify"
    definitions["slow"].defaults["work"].CopyFrom(tf.make_tensor_proto([0], tf.int32))
    definitions["slow"].defaults["scale"].CopyFrom(tf.make_tensor_proto([0.5], tf.float32))
    file.write_bytes(proto.SerializeToString())
    (unfinished / "assets.extra").mkdir()
    if warm_up:
        log = prediction_log_pb2.PredictionLog()
        request = log.predict_log.request
        request.model_spec.name = "small"
        request.inputs["text"].CopyFrom(tf.make_tensor_proto(["A film."]))
        path = unfinished / "assets.extra" / "tf_serving_warmup_requests"
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(log.SerializeToString())
    unfinished.rename(folder)


def copy_version(folder, number):
    """Adds a version as a push does, by copying and renaming."""
    newest = max(folder.glob("[0-9]*"), key=lambda v: int(v.name))
    shutil.copytree(newest, folder / f".{number}")
    (folder / f".{number}").rename(folder / str(number))
