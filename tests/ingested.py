"""Fixtures with some real text, and with its ingest."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from read_corpora import BIBLE, IMDB, opened, records

from data import checks, dead_letters
from data.records import Record
from data.task_files import TaskFile

# The runner is named, as Beam's default first looks for one to download. With a setup file, TFX
# does not package itself for remote workers before each component, which takes seconds.
BEAM_ARGS = {  # by number of workers
    workers: [
        "--runner=FnApiRunner",
        "--setup_file=setup.py",
        "--direct_running_mode=in_memory",
        f"--direct_num_workers={workers}",
    ]
    for workers in (1, 2)
}

PARAMETERS = {"fraction": 1.0, "max_characters": 20_000, "max_dead_letter_share": 0.01}


@dataclass(frozen=True)
class Ingested:
    """The outputs of one ingest."""

    examples: Any  # the Examples artifact
    records: Any  # the IngestRecords artifact

    @property
    def ledger(self) -> dict:
        return json.loads(Path(self.records.uri, "records.json").read_text())

    @property
    def dead_letters(self) -> list[dict]:
        return list(dead_letters.read(Path(self.records.uri, "dead_letters.jsonl")))

    @property
    def files(self) -> dict[str, bytes]:
        """The contents of all files, by name below the artifact."""
        root = Path(self.examples.uri)
        paths = (path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}

    def read(self, split: str) -> list[dict[str, str | int]]:
        """The Examples of a split in the order of writing."""
        import tensorflow as tf

        paths = sorted(Path(self.examples.uri, f"Split-{split}").glob("*"))
        data = tf.data.TFRecordDataset([str(path) for path in paths], "GZIP")
        return [_features(tf.train.Example.FromString(raw)) for raw in data.as_numpy_iterator()]


def _features(example) -> dict[str, str | int]:
    features = {}
    for name, feature in example.features.feature.items():
        (value,) = getattr(feature, feature.WhichOneof("kind")).value
        features[name] = value.decode() if isinstance(value, bytes) else value
    return features


@pytest.fixture
def ingest(tmp_path):
    """Runs the executor of TextExampleGen as the component sets it up."""

    def run(task: TaskFile, path, workers: int = 1, **parameters) -> Ingested:
        from tfx.types import standard_artifacts

        from components.artifacts import IngestRecords
        from components.text_example_gen.component import TextExampleGen
        from components.text_example_gen.executor import Executor

        component = TextExampleGen(
            opened(task, path),
            task.task,
            task.reading,
            checks.markers(task.checks),
            **(PARAMETERS | parameters),
        )
        number = len(list(tmp_path.glob("ingest-*")))
        examples, kept = standard_artifacts.Examples(), IngestRecords()
        examples.uri = str(tmp_path / f"ingest-{number}/examples")
        kept.uri = str(tmp_path / f"ingest-{number}/records")
        for artifact in (examples, kept):
            Path(artifact.uri).mkdir(parents=True)
        Executor(Executor.Context(beam_pipeline_args=BEAM_ARGS[workers])).Do(
            {}, {"examples": [examples], "records": [kept]}, component.exec_properties
        )
        return Ingested(examples, kept)

    return run


@pytest.fixture(scope="session")
def reviews() -> list[tuple[str, int]]:
    """300 distinct real reviews with their labels, which alternate."""
    of_label: dict[int, list[str]] = {0: [], 1: []}
    for record in records(IMDB, limit=3000):
        texts = of_label[int(record.features["label"])]
        texts.extend([str(record.features["text"])][: 150 - len(texts)])
    return [
        (text, label)
        for pair in zip(of_label[0], of_label[1], strict=True)
        for label, text in enumerate(pair)
    ]


@pytest.fixture(scope="session")
def chapters() -> list[Record]:
    """All chapters of the real Bible."""
    return records(BIBLE)


@pytest.fixture
def write_reviews(tmp_path):
    """Writes (text, label) rows as the CSV that data.imdb.reader reads; returns the path."""

    def write(rows, name: str = "reviews.csv") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("text", "label"), *rows])
        return path

    return write


@pytest.fixture
def write_folder(tmp_path):
    """Writes reviews in aclImdb's layout, which has four shards; returns the folder.

    Each review has its own film. The last quarter is under test/, the others under train/.
    """

    def write(rows) -> Path:
        root = tmp_path / "aclImdb"
        films: dict[str, list[str]] = {}
        for index, (text, label) in enumerate(rows):
            split = "train" if index < 3 * len(rows) // 4 else "test"
            side = "pos" if label else "neg"
            urls = films.setdefault(f"{split}/urls_{side}.txt", [])
            file = root / split / side / f"{len(urls)}_{9 if label else 2}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            urls.append(f"http://www.imdb.com/title/tt{index:07d}/usercomments\n")
        for name, urls in films.items():
            (root / name).write_text("".join(urls))
        return root

    return write


@pytest.fixture
def write_verses(tmp_path):
    """Writes chapters as tab-separated verses, as data.bible.reader reads them."""

    def write(chapters, name: str = "bible.tsv") -> Path:
        path = tmp_path / name
        path.write_text(
            "".join(
                f"{chapter.features['book']}\t{chapter.features['chapter']}\t{number}\t{verse}\n"
                for chapter in chapters
                for number, verse in enumerate(chapter.features["text"].split("\n"), start=1)
            ),
            encoding="utf-8",
        )
        return path

    return write
