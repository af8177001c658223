import numpy as np
import pytest
import tensorflow as tf

from data.bible import reader as bible
from data.imdb import reader as imdb
from data.records import all_records
from pipeline.transform import tokenization, vocabulary


@pytest.fixture(scope="session")
def texts():
    """All texts of the packaged corpora, by task."""
    return {
        reader.TASK: [record.features["text"] for record in all_records(reader, source)]
        for reader, source in ((bible, bible.open_source()), (imdb, imdb.open_source()))
    }


@pytest.fixture(scope="session")
def counted(texts):
    """The words of 60 chapters and their counts."""
    words = tokenization.split_words(tf.constant(texts["bible"][:60])).flat_values.numpy()
    words, counts = np.unique(words, return_counts=True)
    return list(zip(words, counts.tolist(), strict=True))


@pytest.fixture(scope="session")
def vocabulary_file(counted, tmp_path_factory):
    """A vocabulary of at most 600 pieces, where a TransformGraph has it."""
    folder = tmp_path_factory.mktemp("transform_graph") / "transform_fn" / "assets"
    folder.mkdir(parents=True)
    path = folder / vocabulary.VOCABULARY_ASSET
    path.write_text("".join(f"{piece}\n" for piece in vocabulary.learn(counted, 600)), "utf-8")
    return path
