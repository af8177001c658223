"""Transform: raw text to token ids.

One definition serves both the corpus before training and each request to the served model.

Inputs: features.TEXT (b, 1) string and, of a classification, features.LABEL (b, 1) int64.
Outputs: features.TOKENS, ragged (b, l) int64, and the label (b,), unchanged.
"""

from __future__ import annotations

from typing import Any

import pydantic
import tensorflow as tf

from data import features
from data.normal_form import NormalForm
from data.tasks import Task
from pipeline.transform import tokenization
from pipeline.transform.vocabulary import learned_vocabulary


def normalize(strings: tf.Tensor, form: NormalForm) -> tf.Tensor:
    """Brings text (b,) into a normal form; bytes that are not UTF-8 become U+FFFD."""
    strings = tf.strings.unicode_transcode(strings, "UTF-8", "UTF-8", errors="replace")
    for pattern, replacement in form.all_rules:
        strings = tf.strings.regex_replace(strings, pattern, replacement)
    return tf.strings.lower(strings, encoding="utf-8") if form.lower else strings


def head_and_tail(tokens: tf.RaggedTensor, head: int, tail: int) -> tf.RaggedTensor:
    """Keeps the first `head` and last `tail` ids of each row (b, l); short rows are unchanged."""
    position = tf.ragged.range(tokens.row_lengths()).flat_values
    length = tf.gather(tokens.row_lengths(), tokens.value_rowids())
    kept = (position < head) | (position >= length - tail)
    return tf.ragged.boolean_mask(tokens, tokens.with_flat_values(kept))


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """Transforms raw features; TFX's hook.

    Args:
        inputs: raw features by name.
        custom_config: `task`, a Task as a dict, `vocabulary_size` and the fields of
            config.TransformConfig.
    """
    task = pydantic.TypeAdapter(Task).validate_python(custom_config["task"])
    text = normalize(tf.squeeze(inputs[features.TEXT], 1), task.normal_form)
    words = tokenization.split_words(text)
    vocabulary = learned_vocabulary(words, custom_config["vocabulary_size"])
    tokens = tokenization.encode(words, vocabulary)
    if task.kind == "next-token":
        return {features.TOKENS: tokens}
    return {
        features.TOKENS: head_and_tail(tokens, custom_config["head"], custom_config["tail"]),
        features.LABEL: tf.squeeze(inputs[features.LABEL], 1),
    }
