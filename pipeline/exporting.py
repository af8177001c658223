"""Export: the trained model as a SavedModel that takes raw text.

Text becomes tokens by Transform's own graph, so that serving cannot differ from
training. No signature holds an XLA-compiled function: TensorFlow Serving runs none by
default.

sentiment (texts (b,) string):
    serving_default     text -> label (b,) string, probability (b,) float32 of positive
    serving_examples    serialized tf.Examples -> the same
next token:
    serving_default     text -> text (b,) string, its continuation
    generate            the same with max_new_tokens, temperature, top_k and seed, all scalars
    score               text -> bits, characters, tokens, correct, each (b,)
    score_examples      serialized tf.Examples -> the same
    score_stream        a part of a document that goes on: text, ends_line, last_token, conv,
                        ssm -> the same, and last_token, conv and ssm for the next part
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_transform as tft

from mamba_model import NextTokenModel, SentimentModel, generate
from pipeline import features, tokenization
from pipeline.preprocessing import normalize
from pipeline.tasks import Task
from pipeline.tokenization import LINE_END_ID, PADDING_ID, START_ID

# serving_default of a next-token model.
_NEW_TOKENS = 100
_TEMPERATURE = 0.8
_TOP_K = 50
# What is in memory at a time, whatever a request brings: positions with their logits, rows.
_LOGIT_POSITIONS = 256
_ROWS = 32

Signatures = dict[str, Callable[..., dict[str, tf.Tensor]]]


def save(
    model: SentimentModel | NextTokenModel,
    task: Task,
    transform_output: tft.TFTransformOutput,
    vocabulary: Sequence[str],
    folder: str,
) -> None:
    """Writes the SavedModel of a trained model to `folder`."""
    trained, model = model, type(model)(model.config)  # without the compiled training step
    model.set_weights(trained.get_weights())
    model.transform = transform_output.transform_features_layer()

    def to_tokens(text: tf.Tensor) -> tf.RaggedTensor:
        return model.transform({features.TEXT: text[:, None]})[features.TOKENS]

    if task.head == "sentiment":
        signatures = _sentiment_signatures(model, to_tokens)
    else:
        signatures = _next_token_signatures(model, task, to_tokens, vocabulary)
    tf.saved_model.save(model, folder, signatures=signatures)


def _parsed_text(examples: tf.Tensor) -> tf.Tensor:
    spec = {features.TEXT: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, spec)[features.TEXT]


def _sentiment_signatures(
    model: SentimentModel, to_tokens: Callable[[tf.Tensor], tf.RaggedTensor]
) -> Signatures:
    def probability(text: tf.Tensor) -> dict[str, tf.Tensor]:
        # One position at least, so that a batch of empty texts has a shape.
        tokens = _at_least_one(to_tokens(text).to_tensor(PADDING_ID))
        return {"probability": tf.sigmoid(model(tokens))}

    def classify(text: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = _in_slices(probability, text, {"probability": tf.float32})
        is_positive = outputs["probability"] >= 0.5
        return outputs | {"label": tf.where(is_positive, "positive", "negative")}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(text):
        return classify(text)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_examples(examples):
        return classify(_parsed_text(examples))

    return {"serving_default": serving_default, "serving_examples": serving_examples}


def _in_slices(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    strings: tf.Tensor,
    outputs: dict[str, tf.DType],
) -> dict[str, tf.Tensor]:
    """Applies `function` to strings (b,), _ROWS at a time; each output is (b,)."""
    slices = tf.maximum(1, tf.math.floordiv(tf.shape(strings)[0] + _ROWS - 1, _ROWS))
    arrays = {
        name: tf.TensorArray(dtype, slices, element_shape=[None], infer_shape=False)
        for name, dtype in outputs.items()
    }

    def body(i, arrays):
        of_slice = function(strings[i * _ROWS : (i + 1) * _ROWS])
        return i + 1, {name: array.write(i, of_slice[name]) for name, array in arrays.items()}

    _, arrays = tf.while_loop(lambda i, _: i < slices, body, (0, arrays))
    return {name: array.concat() for name, array in arrays.items()}


def _at_least_one(tokens: tf.Tensor) -> tf.Tensor:
    return tf.pad(tokens, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(tokens)[1])]])


def _next_token_signatures(
    model: NextTokenModel,
    task: Task,
    to_tokens: Callable[[tf.Tensor], tf.RaggedTensor],
    vocabulary: Sequence[str],
) -> Signatures:
    def score_part(text, ends_line, last_token, state):
        """Bits of `text` (b,) after `last_token` (b,) and `state`; a line end follows or not."""
        text = normalize(text, task.normal_form)
        ends = tf.cast(ends_line, tf.int64)
        line_ends = tf.RaggedTensor.from_row_lengths(
            tf.fill([tf.reduce_sum(ends)], tf.constant(LINE_END_ID, tf.int64)), ends
        )
        targets = tf.concat([to_tokens(text), line_ends], axis=1)
        lengths = targets.row_lengths()
        targets = _at_least_one(targets.to_tensor(PADDING_ID))  # (b, l)
        inputs = tf.concat([last_token[:, None], targets[:, :-1]], axis=1)
        mask = tf.sequence_mask(lengths, tf.shape(targets, tf.int64)[1])
        hidden, state = model.backbone(inputs, mask=mask, state=state, return_state=True)
        bits, correct = _bits_and_hits(model, hidden, targets, mask)
        last = tf.gather(targets, tf.maximum(lengths - 1, 0), batch_dims=1)
        scores = {
            "bits": bits,
            "characters": tf.strings.length(text, unit="UTF8_CHAR") + tf.cast(ends, tf.int32),
            "tokens": tf.cast(lengths, tf.int32),
            "correct": correct,
        }
        return scores, tf.where(lengths > 0, last, last_token), state

    def score_slice(text: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(text)[0]
        start = tf.fill([rows], tf.constant(START_ID, tf.int64))
        state = model.backbone.initial_state(rows)
        return score_part(text, tf.ones([rows], tf.bool), start, state)[0]

    def score_documents(text: tf.Tensor) -> dict[str, tf.Tensor]:
        counts = dict.fromkeys(("characters", "tokens", "correct"), tf.int32)
        return _in_slices(score_slice, text, {"bits": tf.float32, **counts})

    def continue_text(text, max_new_tokens, temperature, top_k, seed):
        tokens = to_tokens(text)
        start = tf.fill([tokens.nrows(), 1], tf.constant(START_ID, tf.int64))
        prompts = tf.concat([start, tokens], axis=1)
        new, _ = generate(
            model,
            prompts.to_tensor(PADDING_ID),
            prompts.row_lengths(),
            max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            seed=seed,
            stop_token=START_ID,  # the next document would begin here
        )
        written = tokenization.decode(new, vocabulary)
        return {"text": tf.strings.unicode_transcode(written, "UTF-8", "UTF-8", errors="replace")}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(text):
        return continue_text(text, _NEW_TOKENS, _TEMPERATURE, _TOP_K, seed=0)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([], tf.int32, name="max_new_tokens"),
            tf.TensorSpec([], tf.float32, name="temperature"),
            tf.TensorSpec([], tf.int32, name="top_k"),
            tf.TensorSpec([], tf.int32, name="seed"),
        ]
    )
    def generate_text(text, max_new_tokens, temperature, top_k, seed):
        return continue_text(text, max_new_tokens, temperature, top_k, seed)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def score(text):
        return score_documents(text)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def score_examples(examples):
        return score_documents(_parsed_text(examples))

    conv, ssm = model.backbone.initial_state(1)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([None], tf.bool, name="ends_line"),
            tf.TensorSpec([None], tf.int64, name="last_token"),
            tf.TensorSpec([conv.shape[0], None, *conv.shape[2:]], conv.dtype, name="conv"),
            tf.TensorSpec([ssm.shape[0], None, *ssm.shape[2:]], ssm.dtype, name="ssm"),
        ]
    )
    def score_stream(text, ends_line, last_token, conv, ssm):
        scores, last_token, (conv, ssm) = score_part(text, ends_line, last_token, (conv, ssm))
        return scores | {"last_token": last_token, "conv": conv, "ssm": ssm}

    return {
        "serving_default": serving_default,
        "generate": generate_text,
        "score": score,
        "score_examples": score_examples,
        "score_stream": score_stream,
    }


def _bits_and_hits(
    model: NextTokenModel, hidden: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Bits (b,) float32 of the targets (b, l), and how many were the likeliest, (b,) int32.

    Logits of all positions at once would need l * vocabulary_size floats a row.
    """
    length = tf.shape(targets)[1]

    def body(start, bits, correct):
        part = slice(start, start + _LOGIT_POSITIONS)
        loss, hit, _ = model.score(targets[:, part], model.logits(hidden[:, part]))
        real = mask[:, part]
        bits += tf.reduce_sum(tf.where(real, loss, 0.0), axis=1) / math.log(2)
        correct += tf.reduce_sum(tf.cast(real & (hit > 0), tf.int32), axis=1)
        return start + _LOGIT_POSITIONS, bits, correct

    rows = tf.shape(targets)[0]
    _, bits, correct = tf.while_loop(
        lambda start, *_: start < length,
        body,
        (0, tf.zeros([rows], tf.float32), tf.zeros([rows], tf.int32)),
        shape_invariants=(
            tf.TensorShape([]),
            tf.TensorShape([None]),
            tf.TensorShape([None]),
        ),
    )
    return bits, correct
