"""Exports of a few ops that pass InfraCheck, or break one of its rules."""

import json
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

LIMITS = {"max_text_bytes": 6000, "max_rows": 40}
SIGNATURES = {"serving_default": ["text"], "serving_examples": ["examples"], "classify": ["inputs"]}
TEXTS = ["In the beginning God created the heaven and the earth.", "And the earth was void;"]


def limited(text):
    with tf.control_dependencies(
        [
            tf.debugging.assert_less_equal(tf.size(text), LIMITS["max_rows"], "rows"),
            tf.debugging.assert_less_equal(
                tf.strings.length(text), LIMITS["max_text_bytes"], "text"
            ),
        ]
    ):
        return tf.identity(text)


def share_of_spaces(text):
    """(b,) string to (b,) float32."""
    length = tf.cast(tf.strings.length(text), tf.float32)
    without = tf.cast(tf.strings.length(tf.strings.regex_replace(text, " ", "")), tf.float32)
    return (length - without) / tf.maximum(length, 1.0)


def save(
    folder: Path,
    score=share_of_spaces,
    limited=limited,
    names=tuple(SIGNATURES),
    variables=(),
) -> Path:
    """Writes an export whose signatures apply `score`, with warm-up requests and limits."""
    module = tf.Module()
    module.tracked = list(variables)

    def answer(text):
        share = score(limited(text))
        return {"scores": tf.stack([1 - share, share], 1), "classes": _classes(share)}

    def of_examples(examples):
        spec = {"text": tf.io.FixedLenFeature([], tf.string)}
        return answer(tf.io.parse_example(examples, spec)["text"])

    bodies = {"serving_default": answer, "serving_examples": of_examples, "classify": of_examples}
    functions = {}
    for name in names:
        (argument,) = SIGNATURES[name]
        spec = tf.TensorSpec([None], tf.string, name=argument)
        functions[name] = tf.function(bodies[name], input_signature=[spec])
    module.functions = list(functions.values())
    tf.saved_model.save(module, str(folder), signatures=functions)
    extra = folder / "assets.extra"
    extra.mkdir()
    (extra / "limits.json").write_text(json.dumps(LIMITS))
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as warm_up:
        for name in names:
            warm_up.write(_request(name).SerializeToString())
    return folder


def _classes(share):
    return tf.tile([["dense", "sparse"]], [tf.size(share), 1])


def _request(name):
    log = prediction_log_pb2.PredictionLog()
    examples = [_example(text) for text in TEXTS]
    if name == "classify":
        request = log.classify_log.request
        request.input.example_list.examples.extend(examples)
    else:
        request = log.predict_log.request
        values = {
            "text": TEXTS,
            "examples": [example.SerializeToString() for example in examples],
        }
        (argument,) = SIGNATURES[name]
        request.inputs[argument].CopyFrom(tf.make_tensor_proto(values[argument]))
    request.model_spec.signature_name = name
    return log


def _example(text):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    return tf.train.Example(features=tf.train.Features(feature={"text": feature}))
