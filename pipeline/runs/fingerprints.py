"""Hashes of what each stage of a run made; they let two runs be compared without their files.

    {"examples": {"eval": "5f0c...", "train": "b1e2..."},     the records, order ignored
     "statistics": {"eval": "...", "train": "..."},
     "vocabulary": {"pieces": "...", "vocabulary.txt": "..."}, pieces in order of ids; asset file
     "transformed examples": {"eval": "...", "train": "..."},  the records, order ignored
     "pretrained weights": {...}, "weights": {"backbone/embedding/embeddings": "...", ...},
     "metrics": {"accuracy": "...", "length_bucket=285+ accuracy": "...", ...}}

Hashes leave out what may vary between equal runs: the order of records, which Beam does not
guarantee with more than one worker, and the bytes of saved_model.pb and of gzipped files.
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

Hashes = dict[str, str]  # name of a part of the output to its SHA-256, sorted by name


def of_examples(folder: str | Path) -> Hashes:
    """Hashes each split of an Examples artifact: the examples and how often each occurs."""
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
    """Hashes each split of an ExampleStatistics artifact, with the features sorted by name."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    hashes = {}
    for split, (file,) in _splits(folder):
        statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
        for dataset in statistics.datasets:
            dataset.features.sort(key=lambda feature: tuple(feature.path.step))
        hashes[split] = hashlib.sha256(statistics.SerializeToString(deterministic=True)).hexdigest()
    return hashes


def of_vocabulary(transform_graph_folder: str | Path) -> Hashes:
    """Hashes the vocabulary of a TransformGraph artifact: its pieces, and its asset files."""
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
    """Hashes the metrics of a split and of its slices, to the last bit.

    Differences from the last pushed model (`_diff`) are left out: they depend on that model, and
    a reproduction in an empty folder has none.
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
