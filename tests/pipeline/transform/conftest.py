import numpy as np
import pytest
import tensorflow as tf

from data import readers, task_files
from data.records import Record
from pipeline.transform import tokenization, vocabulary


@pytest.fixture(scope="session")
def texts():
    """All texts of the packaged corpora, by task."""
    return {name: list(_texts(task_files.find(name))) for name in task_files.built_in_tasks()}


def _texts(file):
    reader = readers.load(file.reading.reader)
    source = reader.open_source(None, file.reading)
    for shard in source.shards:
        for item in reader.read_shard(source, shard, file.task, file.reading, 10**6):
            if isinstance(item, Record):
                yield item.features["text"]


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
