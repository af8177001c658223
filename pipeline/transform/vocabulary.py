"""The vocabulary: learned in Transform's analyze phase, then read from the TransformGraph.

Pieces in the order of their ids: the reserved ones, the 256 bytes, then the pieces that byte-pair
encoding (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909) merges, in SentencePiece's order.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

from pipeline.transform.token_ids import RESERVED
from pipeline.transform.tokenization import LONGEST_WORD, byte_alphabet

VOCABULARY_ASSET = "vocabulary.txt"


def read_vocabulary(transform_graph_folder: str) -> list[str]:
    """Returns the pieces, in the order of their ids, of a TransformGraph artifact."""
    path = os.path.join(
        transform_graph_folder, tft.TFTransformOutput.TRANSFORM_FN_DIR, "assets", VOCABULARY_ASSET
    )
    with tf.io.gfile.GFile(path) as file:
        return file.read().split("\n")[:-1]


def pieces_sha256(transform_graph_folder: str) -> str:
    """SHA-256, in hexadecimal, of the pieces of a TransformGraph artifact."""
    return hashlib.sha256("\n".join(read_vocabulary(transform_graph_folder)).encode()).hexdigest()


def learned_vocabulary(words: tf.RaggedTensor, size: int) -> tf.Tensor:
    """Learns a vocabulary of at most `size` pieces from all words of the analyzed split.

    Returns:
        () string, the path of the vocabulary file; known after the analyze phase.
    """
    before_analysis = "\n".join((*RESERVED, *byte_alphabet(), ""))
    # Counts each batch in the graph: single words would cost Beam more than all other work.
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
    """Learns at most `size` pieces, including the reserved ones and the bytes.

    The result does not depend on the order of `counts`.
    """
    import sentencepiece

    bytes_first = [*RESERVED, *byte_alphabet()]
    if size <= len(bytes_first):
        raise ValueError(
            f"vocabulary size: expected more than {len(bytes_first)}"
            f" (padding, start and 256 bytes), got {size}"
        )
    by_count = sorted(((w.decode(), n) for w, n in counts), key=lambda item: (-item[1], item[0]))
    if not by_count:
        return bytes_first
    characters = {character for word, _ in by_count for character in word}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(f"{word}\t{n}" for word, n in by_count),
        input_format="tsv",
        model_writer=model,
        model_type="bpe",
        # It counts its sign for unknown text and the single characters.
        vocab_size=1 + len(characters) + size - len(bytes_first),
        hard_vocab_limit=False,  # a short text has fewer pieces
        character_coverage=1.0,
        max_sentencepiece_length=LONGEST_WORD + 1,
        # The words are already as they should be.
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_unicode_script=False,
        split_by_number=False,
        bos_id=-1,
        eos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [processor.id_to_piece(number) for number in range(1, len(processor))]
    return [*bytes_first, *(piece for piece in pieces if len(piece) > 1)]


def _pairs(batch: tuple[np.ndarray, np.ndarray]) -> Iterable[tuple[bytes, int]]:
    distinct, counts = batch
    return zip(distinct.tolist(), counts.tolist(), strict=True)


def _write_vocabulary(pieces: list[str], path: str) -> np.ndarray:
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write("".join(f"{piece}\n" for piece in pieces))
    return np.array(path.encode(), dtype=object)
