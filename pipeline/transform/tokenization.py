"""Lossless WordPiece: text to ids and back.

Text in normal form is written in an alphabet of 256 printable characters, one per byte (as
in GPT-2). So no text is unknown, and decoding restores each byte. The text is split into
words, each with its leading space, and each word into the longest pieces of a vocabulary that
Transform learns in its analyze phase (see vocabulary.py):

    "In the beginning"  ->  "In" "Ġthe" "Ġbeginning"  ->  [571, 262, 1804]

A piece is the same at the start of a word and inside it (the space is a part of the piece),
so there is no joiner such as "##".

Source of the byte alphabet: Radford et al. 2019, "Language models are unsupervised
multitask learners", section 2.2.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text as text
import tensorflow_transform as tft

from pipeline.transform.token_ids import PADDING_ID, RESERVED

LONGEST_WORD = 24  # letters; longer words are split, which bounds the work per word
# With the leading space; a character of the alphabet has at most two bytes in UTF-8.
_LONGEST_WORD_BYTES = 2 * (LONGEST_WORD + 1)


def byte_alphabet() -> str:
    """The characters for the bytes 0..255, in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return "".join(chr(b) if b in printable else chr(next(others)) for b in range(256))


def _word_pattern() -> str:
    """RE2 pattern of one word; each character of the alphabet matches a branch."""
    alphabet = byte_alphabet()
    space, line_end = alphabet[0x20], alphabet[0x0A]
    # Bytes from 0x80 are parts of non-ASCII letters, so they stay together.
    high = "".join(alphabet[0x80:])
    letter = f"A-Za-z{high}"
    return "|".join(
        (
            r"'(?:s|t|m|d|re|ve|ll)\b",  # LORD's, don't
            f"{space}?[{letter}]{{1,{LONGEST_WORD}}}",
            f"{space}?[0-9]{{1,4}}",
            f"{space}?[^{letter}0-9{space}{line_end}]{{1,4}}",
            space,
            line_end,
        )
    )


def to_alphabet(strings: tf.Tensor) -> tf.Tensor:
    """Replaces each byte of `strings` (b,) by its character of the alphabet."""
    codepoints = tf.constant([ord(c) for c in byte_alphabet()], tf.int32)
    # ISO-8859-1 decodes any byte to one character.
    read = tf.strings.unicode_decode(strings, "ISO-8859-1")
    written = read.with_flat_values(tf.gather(codepoints, read.flat_values))
    return tf.strings.unicode_encode(written, "UTF-8")


def split_words(strings: tf.Tensor) -> tf.RaggedTensor:
    """Splits text (b,) into words in the byte alphabet, (b, words)."""
    pattern = _word_pattern()
    return text.regex_split(to_alphabet(strings), pattern, pattern)


def encode(words: tf.RaggedTensor, vocabulary_file: tf.Tensor) -> tf.RaggedTensor:
    """Converts words (b, words) to ids (b, l), int64, by the vocabulary in the file."""
    # Tokenizes each distinct word once, as this is by far the slowest step.
    distinct, index = tf.unique(words.flat_values, tf.int64)
    ids = tft.apply_vocabulary(distinct, vocabulary_file, lookup_fn=_ids_of_words)
    pieces = tf.RaggedTensor.from_tensor(tf.gather(ids, index), padding=PADDING_ID)
    return words.with_flat_values(pieces).merge_dims(1, 2)


def _ids_of_words(words: tf.Tensor, vocabulary_file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the padded ids of words (n,), (n, most pieces), and the size of the vocabulary."""
    with contextlib.ExitStack() as outside:
        # A table created inside the function would read the file again at each request.
        if isinstance(vocabulary_file, tf.__internal__.EagerTensor):
            outside.enter_context(tf.init_scope())
        table = tf.lookup.StaticVocabularyTable(
            _VocabularyFile(
                vocabulary_file,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            num_oov_buckets=1,  # never used: each byte is a piece
        )
        size = table.size()
    tokenizer = text.WordpieceTokenizer(
        table, suffix_indicator="", max_bytes_per_word=_LONGEST_WORD_BYTES, token_out_type=tf.int64
    )
    return tokenizer.tokenize(words).to_tensor(PADDING_ID), size


class _VocabularyFile(tf.lookup.TextFileInitializer):
    """Hashes the table's name, as TensorFlow names and exports it by its file's absolute path."""

    @property
    def _shared_name(self) -> str:
        return f"vocabulary_{hashlib.sha256(super()._shared_name.encode()).hexdigest()[:16]}"


def decode(ids: tf.RaggedTensor, vocabulary: Sequence[str]) -> tf.Tensor:
    """Returns the bytes (b,) of ids (b, l); reserved ids have none."""
    codepoint_to_byte = {c: bytes([i]) for i, c in enumerate(byte_alphabet())}
    pieces = [
        b"".join(codepoint_to_byte[c] for c in piece) for piece in vocabulary[len(RESERVED) :]
    ]
    table = tf.constant([b""] * len(RESERVED) + pieces)
    return tf.strings.reduce_join(tf.gather(table, ids), axis=-1)
