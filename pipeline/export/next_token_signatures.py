"""Signatures of a next-token model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from data.tasks import Task
from mamba_model import NextTokenModel, generate
from pipeline.config import ExportConfig
from pipeline.export.requests import (
    Outputs,
    Signatures,
    ToTokens,
    dense,
    in_slices,
    require,
    signature,
    texts,
    within_limits,
)
from pipeline.transform import tokenization
from pipeline.transform.preprocessing import normalize
from pipeline.transform.token_ids import LINE_END_ID, PADDING_ID, START_ID

_LOGIT_POSITIONS = 256  # positions whose logits are in memory at the same time


def next_token_signatures(
    model: NextTokenModel,
    task: Task,
    to_tokens: ToTokens,
    vocabulary: Sequence[str],
    limits: ExportConfig,
) -> Signatures:
    """The signatures; see the package's docstring."""

    def score_part(text, ends_line, last_token, conv, ssm):
        """Scores `text` (b,), then a line end if `ends_line` (b,), after a token and a state."""
        text = normalize(text, task.normal_form)
        ends = tf.cast(ends_line, tf.int64)
        line_ends = tf.RaggedTensor.from_row_lengths(
            tf.fill([tf.reduce_sum(ends)], tf.constant(LINE_END_ID, tf.int64)), ends
        )
        tokens = tf.concat([to_tokens(text), line_ends], axis=1)
        lengths = tokens.row_lengths()
        targets = dense(tokens)  # (b, l)
        inputs = tf.concat([last_token[:, None], targets[:, :-1]], axis=1)
        mask = tf.sequence_mask(lengths, tf.shape(targets, tf.int64)[1])
        state = _swap(conv), _swap(ssm)
        hidden, (conv, ssm) = model.backbone(inputs, mask=mask, state=state, return_state=True)
        bits, correct = _bits_and_hits(model, hidden, targets, mask)
        last = tf.gather(targets, tf.maximum(lengths - 1, 0), batch_dims=1)
        return {
            "bits": bits,
            "characters": tf.strings.length(text, unit="UTF8_CHAR") + tf.cast(ends, tf.int32),
            "tokens": tf.cast(lengths, tf.int32),
            "correct": correct,
            "last_token": tf.where(lengths > 0, last, last_token),
            "conv": _swap(conv),
            "ssm": _swap(ssm),
        }

    def score_document(text: tf.Tensor) -> Outputs:
        rows = tf.shape(text)[0]
        start = tf.fill([rows], tf.constant(START_ID, tf.int64))
        conv, ssm = model.backbone.initial_state(rows)
        scores = score_part(text, tf.ones([rows], tf.bool), start, _swap(conv), _swap(ssm))
        return {name: scores[name] for name in ("bits", "characters", "tokens", "correct")}

    def prompts(text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Ids (b, l) of the start token and the text, and their number (b,)."""
        tokens = to_tokens(text)
        start = tf.fill([tokens.nrows(), 1], tf.constant(START_ID, tf.int64))
        tokens = tf.concat([start, tokens], axis=1)
        return tokens.to_tensor(PADDING_ID), tf.cast(tokens.row_lengths(), tf.int32)

    def embeddings(text: tf.Tensor) -> Outputs:
        tokens, lengths = prompts(text)
        hidden = model.backbone(tokens, mask=tf.sequence_mask(lengths, tf.shape(tokens)[1]))
        return {"embedding": tf.gather(hidden, lengths - 1, batch_dims=1)}

    def continuations(text, max_new_tokens, temperature, top_k, top_p, repetition_penalty, seed):
        tokens, log_probabilities = generate(
            model,
            *prompts(text),
            max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            repetition_penalty=repetition_penalty,
            seed=seed,
            stop_token=START_ID,  # the next document would begin here
        )
        written = tokenization.decode(tokens, vocabulary)
        return {
            "text": tf.strings.unicode_transcode(written, "UTF-8", "UTF-8", errors="replace"),
            "log_probability": tf.reduce_sum(log_probabilities, axis=1),
            "tokens": tf.math.count_nonzero(tokens, axis=1, dtype=tf.int32),
        }

    def setting(name: str, dtype: tf.DType) -> tf.TensorSpec:
        return tf.TensorSpec([None], dtype, name=name)

    # Servers fill in these defaults; one value applies to all rows.
    @tf.function(
        input_signature=[
            texts(),
            setting("max_new_tokens", tf.int32),
            setting("temperature", tf.float32),
            setting("top_k", tf.int32),
            setting("top_p", tf.float32),
            setting("repetition_penalty", tf.float32),
            setting("seed", tf.int32),
        ]
    )
    def serving_default(
        text,
        max_new_tokens=tf.constant([100]),  # noqa: B008  evaluated once per model
        temperature=tf.constant([0.8]),  # noqa: B008
        top_k=tf.constant([50]),  # noqa: B008
        top_p=tf.constant([1.0]),  # noqa: B008
        repetition_penalty=tf.constant([1.0]),  # noqa: B008
        seed=tf.constant([0]),  # noqa: B008
    ):
        settings = {
            "max_new_tokens": (max_new_tokens, 1, limits.max_new_tokens),
            "temperature": (temperature, 0, 100),
            "top_k": (top_k, 0, tf.int32.max),
            "top_p": (top_p, 0, 1),
            "repetition_penalty": (repetition_penalty, 0.01, 100),
            "seed": (seed, tf.int32.min, tf.int32.max),
        }
        text = within_limits(
            text,
            limits,
            *(_in_range(name, *each, tf.shape(text)[0]) for name, each in settings.items()),
            max_rows=limits.max_generation_rows,
        )
        rows = tf.shape(text)[0]
        return in_slices(
            continuations, text, *(_of_rows(values, rows) for values, *_ in settings.values())
        )

    conv, ssm = (_swap(part) for part in model.backbone.initial_state(1))

    @tf.function(
        input_signature=[
            texts(),
            tf.TensorSpec([None], tf.bool, name="ends_line"),
            tf.TensorSpec([None], tf.int64, name="last_token"),
            tf.TensorSpec([None, *conv.shape[1:]], conv.dtype, name="conv"),
            tf.TensorSpec([None, *ssm.shape[1:]], ssm.dtype, name="ssm"),
        ]
    )
    def score_stream(text, ends_line, last_token, conv, ssm):
        rest = {"ends_line": ends_line, "last_token": last_token, "conv": conv, "ssm": ssm}
        known = (last_token >= 0) & (last_token < len(vocabulary))
        text = within_limits(
            text,
            limits,
            require(known, f"last_token: expected ids below {len(vocabulary)}, got", last_token),
            *(
                require(
                    tf.shape(each)[0] == tf.shape(text)[0],
                    f"{name}: expected one row per text, got",
                    tf.shape(each)[0],
                )
                for name, each in rest.items()
            ),
        )
        return in_slices(score_part, text, *rest.values())

    return {
        "serving_default": serving_default,
        "score": signature(score_document, limits),
        "score_examples": signature(score_document, limits, "examples"),
        "score_stream": score_stream,
        "embed": signature(embeddings, limits),
    }


def _swap(state: tf.Tensor) -> tf.Tensor:
    """Swaps the first two axes of a state: (n_layer, b, ...) to (b, n_layer, ...) and back."""
    return tf.transpose(state, [1, 0, *range(2, state.shape.rank)])


def _in_range(
    name: str, values: tf.Tensor, least: float, most: float, rows: tf.Tensor
) -> tf.Operation:
    """Requires one value, or one per row, all within the bounds, which excludes NaN."""
    n = tf.shape(values)[0]
    in_range = (values >= tf.cast(least, values.dtype)) & (values <= tf.cast(most, values.dtype))
    message = f"{name}: expected a value from {least} to {most}, or one per text, got"
    return require(((n == rows) | (n == 1)) & tf.reduce_all(in_range), message, values)


def _of_rows(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Repeats a setting, (1,) or (b,), for all rows: (b,)."""
    return values[: tf.minimum(tf.size(values), rows)] + tf.zeros([rows], values.dtype)


def _bits_and_hits(
    model: NextTokenModel, hidden: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Bits of the targets (b, l), (b,) float32, and how many ranked first, (b,) int32.

    The loop bounds memory: all logits at once would need l * vocabulary_size floats per row.
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
