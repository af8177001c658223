"""What a run made as hashes, stage by stage, so that two runs can be compared without their files.

    {"examples": {"eval": "5f0c...", "train": "b1e2..."},     the records, in any order
     "statistics": {"eval": "...", "train": "..."},
     "vocabulary": {"pieces": "...", "vocabulary.txt": "..."}, the pieces by id; the graph's asset
     "transformed examples": {"eval": "...", "train": "..."},  the records, in any order
     "pretrained weights": {...}, "weights": {"backbone/embedding/embeddings": "...", ...},
     "metrics": {"accuracy": "...", "length_bucket=285+ accuracy": "...", ...}}

Only what has one form is hashed. The order of records is not, as Beam does not promise it
with more than one worker, nor are saved_model.pb and gzipped files, whose bytes vary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

STAGES = (
    "examples",
    "statistics",
    "vocabulary",
    "transformed examples",
    "pretrained weights",
    "weights",
    "metrics",
)

Hashes = dict[str, str]  # what of a stage, in the order of the names -> SHA-256


def of_examples(folder: str | Path) -> Hashes:
    """Hashes the splits of an Examples artifact: which examples there are, and how often each."""
    import tensorflow as tf

    hashes = {}
    for split, files in _splits(folder):
        records = tf.data.TFRecordDataset([str(file) for file in files], "GZIP")
        digests = sorted(
            hashlib.sha256(
                tf.train.Example.FromString(record).SerializeToString(deterministic=True)
            ).digest()
            for record in records.as_numpy_iterator()
        )
        hashes[split] = hashlib.sha256(b"".join(digests)).hexdigest()
    return hashes


def of_statistics(folder: str | Path) -> Hashes:
    """Hashes the splits of an ExampleStatistics artifact, features in the order of their names."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    hashes = {}
    for split, (file,) in _splits(folder):
        statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
        for dataset in statistics.datasets:
            dataset.features.sort(key=lambda feature: tuple(feature.path.step))
        hashes[split] = hashlib.sha256(statistics.SerializeToString(deterministic=True)).hexdigest()
    return hashes


def of_vocabulary(transform_graph_folder: str | Path) -> Hashes:
    """Hashes the pieces of a TransformGraph artifact, and its assets as the files that they are."""
    import tensorflow_transform as tft

    from pipeline.transform.vocabulary import pieces_sha256

    assets = Path(transform_graph_folder, tft.TFTransformOutput.TRANSFORM_FN_DIR, "assets")
    return {
        "pieces": pieces_sha256(str(transform_graph_folder)),
        **{
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(assets.iterdir())
        },
    }


def of_metrics(metrics: Mapping[str, Any]) -> Hashes:
    """Hashes the numbers of a split, slices too, as Python writes them: to the last bit.

    Differences from the last pushed model are left out: they tell of that one too, and a run
    made again from nothing has none.
    """
    slices = {"": {n: v for n, v in metrics.items() if n != "slices"}, **metrics["slices"]}
    return {
        f"{where} {name}".strip(): hashlib.sha256(repr(value).encode()).hexdigest()
        for where, numbers in sorted(slices.items())
        for name, value in sorted(numbers.items())
        if not name.endswith("_diff")
    }


def _splits(folder: str | Path) -> Iterable[tuple[str, list[Path]]]:
    for split in sorted(Path(folder).glob("Split-*")):
        yield split.name.removeprefix("Split-"), sorted(split.iterdir())
