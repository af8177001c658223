"""Lossless WordPiece: text to ids and back.

Text in normal form is written over an alphabet of 256 printable characters, one a
byte (as GPT-2 does); so no text is unknown, and decoding gives back each byte. It is
cut into words that carry their leading space, and each word into the longest pieces
of a vocabulary that was learned in Transform's analyze phase:

    "In the beginning"  ->  "In" "Ġthe" "Ġbeginning"  ->  [571, 262, 1804]

Ids: 0 padding, 1 start of a document, 2..257 single bytes, then learned pieces by
falling count. A piece means the same at a word's start and inside it (the space is
a part of the piece), so there is no joiner such as "##".

Source of the byte alphabet: Radford et al. 2019, "Language models are unsupervised
multitask learners", section 2.2. Source of the learner: tensorflow_text's
wordpiece_tokenizer_learner_lib.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_text as text
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

PADDING_ID = 0
START_ID = 1
RESERVED = ("[PAD]", "[START]")
LINE_END_ID = len(RESERVED) + 0x0A  # the byte's own piece: a line end never joins others
VOCABULARY_ASSET = "vocabulary.txt"

# Words of letters and of punctuation are cut here, so that the work per word is bounded.
_LONGEST_WORD = 24
# A byte is at most two bytes of UTF-8 in the alphabet.
_LONGEST_WORD_BYTES = 2 * (_LONGEST_WORD + 1)
# The learner sees the most frequent words only: on 94,000 distinct words of the reviews all
# of them took 8 times as long.
_LEARNER_WORDS = 20_000


def byte_alphabet() -> str:
    """The 256 characters that stand for the bytes 0..255, in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return "".join(chr(b) if b in printable else chr(next(others)) for b in range(256))


def _word_pattern() -> str:
    """RE2 pattern of one word; every character of the alphabet matches some branch."""
    alphabet = byte_alphabet()
    space, line_end = alphabet[0x20], alphabet[0x0A]
    # Bytes from 0x80 are parts of letters beyond ASCII: they stay together.
    high = "".join(alphabet[0x80:])
    letter = f"A-Za-z{high}"
    return "|".join(
        (
            r"'(?:s|t|m|d|re|ve|ll)\b",  # LORD's, don't
            f"{space}?[{letter}]{{1,{_LONGEST_WORD}}}",
            f"{space}?[0-9]{{1,4}}",
            f"{space}?[^{letter}0-9{space}{line_end}]{{1,4}}",
            space,
            line_end,
        )
    )


def to_alphabet(strings: tf.Tensor) -> tf.Tensor:
    """Writes each byte of `strings` (b,) as its character of the alphabet."""
    codepoints = tf.constant([ord(c) for c in byte_alphabet()], tf.int32)
    # ISO-8859-1 reads one character a byte, whatever the bytes are.
    read = tf.strings.unicode_decode(strings, "ISO-8859-1")
    written = read.with_flat_values(tf.gather(codepoints, read.flat_values))
    return tf.strings.unicode_encode(written, "UTF-8")


def split_words(strings: tf.Tensor) -> tf.RaggedTensor:
    """Cuts text (b,) into words over the byte alphabet, (b, words)."""
    pattern = _word_pattern()
    return text.regex_split(to_alphabet(strings), pattern, pattern)


def encode(words: tf.RaggedTensor, vocabulary_file: tf.Tensor) -> tf.RaggedTensor:
    """Cuts words (b, words) into ids (b, l), int64, by the vocabulary in the file."""
    # Each distinct word once: the tokenizer is by far the slowest step.
    distinct, index = tf.unique(words.flat_values, tf.int64)
    ids = tft.apply_vocabulary(distinct, vocabulary_file, lookup_fn=_ids_of_words)
    pieces = tf.RaggedTensor.from_tensor(tf.gather(ids, index), padding=PADDING_ID)
    return words.with_flat_values(pieces).merge_dims(1, 2)


def _ids_of_words(words: tf.Tensor, vocabulary_file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Ids of words (n,), with padding, (n, most pieces), and the number of all ids."""
    with contextlib.ExitStack() as outside:
        # A table made within the function would read the file again with each request.
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
    """TensorFlow names a table by the whole path of its file, and exports the name."""

    @property
    def _shared_name(self) -> str:
        return f"vocabulary_{hashlib.sha256(super()._shared_name.encode()).hexdigest()[:16]}"


def decode(ids: tf.RaggedTensor, vocabulary: Sequence[str]) -> tf.Tensor:
    """Gives back the bytes (b,) that ids (b, l) stand for; reserved ids stand for none."""
    codepoint_to_byte = {c: bytes([i]) for i, c in enumerate(byte_alphabet())}
    pieces = [
        b"".join(codepoint_to_byte[c] for c in piece) for piece in vocabulary[len(RESERVED) :]
    ]
    table = tf.constant([b""] * len(RESERVED) + pieces)
    return tf.strings.reduce_join(tf.gather(table, ids), axis=-1)


def read_vocabulary(transform_graph_folder: str) -> list[str]:
    """The pieces in the order of their ids, from a TransformGraph artifact."""
    path = os.path.join(
        transform_graph_folder, tft.TFTransformOutput.TRANSFORM_FN_DIR, "assets", VOCABULARY_ASSET
    )
    with tf.io.gfile.GFile(path) as file:
        return file.read().split("\n")[:-1]


def pieces_sha256(transform_graph_folder: str) -> str:
    """SHA-256 of the pieces in the order of their ids, from a TransformGraph artifact."""
    pieces = read_vocabulary(transform_graph_folder)
    return hashlib.sha256("\n".join(pieces).encode()).hexdigest()


def learned_vocabulary(words: tf.RaggedTensor, size: int) -> tf.Tensor:
    """Learns a vocabulary of at most `size` pieces over all words of the analyzed split.

    Returns: () string, the path of the vocabulary file, known after the analyze phase.
    """
    before_analysis = "\n".join((*RESERVED, *byte_alphabet(), ""))
    # Counted by batch, in the graph: words one by one would cost Beam more than all else.
    distinct, _, counts = tf.unique_with_counts(words.flat_values, tf.int64)
    (path,) = tft.experimental.ptransform_analyzer(
        inputs=[distinct, counts],
        ptransform=_LearnVocabulary(size),
        output_dtypes=[tf.string],
        output_shapes=[[]],
        output_asset_default_values=[before_analysis.encode()],
        name="vocabulary",
    )
    return path


class _LearnVocabulary(tft_beam.experimental.PTransformAnalyzer):
    def __init__(self, size: int):
        super().__init__()
        self._size = size

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        path = os.path.join(self.base_temp_dir, VOCABULARY_ASSET)
        return (
            batches
            | "OfBatch" >> beam.FlatMap(_pairs)
            | "Count" >> beam.CombinePerKey(sum)
            | "ToList" >> beam.combiners.ToList()
            | "Learn" >> beam.Map(learn, size=self._size)
            | "Write" >> beam.Map(_write_vocabulary, path=path)
        )


def learn(counts: Iterable[tuple[bytes, int]], size: int) -> list[str]:
    """Learns at most `size` pieces, reserved ones and single bytes first.

    The result does not depend on the order of `counts`.
    """
    from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib as learner

    bytes_first = [*RESERVED, *byte_alphabet()]
    if size <= len(bytes_first):
        raise ValueError(
            f"vocabulary size: expected more than {len(bytes_first)}"
            f" (padding, start and 256 bytes), got {size}"
        )
    by_count = sorted(((w.decode(), n) for w, n in counts), key=lambda item: (-item[1], item[0]))
    pieces = learner.learn(
        by_count,
        vocab_size=size,
        # A piece has to be this frequent at most, or `size` of them would hold more than all
        # the words' text; the search for the frequency starts here.
        upper_thresh=max(10, 2 * sum(n for _, n in by_count) // size),
        reserved_tokens=bytes_first,
        max_input_tokens=_LEARNER_WORDS,
        max_token_length=_LONGEST_WORD + 1,
        include_joiner_token=False,
        joiner="",
    )
    return pieces[:size]  # the learner's search may end a little above


def _pairs(batch: tuple[np.ndarray, np.ndarray]) -> Iterable[tuple[bytes, int]]:
    distinct, counts = batch
    return zip(distinct.tolist(), counts.tolist(), strict=True)


def _write_vocabulary(pieces: list[str], path: str) -> np.ndarray:
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write("".join(f"{piece}\n" for piece in pieces))
    return np.array(path.encode(), dtype=object)
