"""The inputs of a run's page: the run's configuration and its stages' artifacts."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pydantic

from data.tasks import Task

MEASUREMENTS_FILE = "measurements.json"


@dataclass(frozen=True)
class Item:
    """An input or output of a stage."""

    number: int  # id in ML Metadata
    name: str  # of the input or output
    type: str
    uri: str


@dataclass(frozen=True)
class Stage:
    """A stage of a run in ML Metadata."""

    name: str
    state: str  # ML Metadata's: COMPLETE, CACHED, FAILED, ...
    started: float  # seconds since 1970
    seconds: float
    reads: tuple[Item, ...]
    makes: tuple[Item, ...]


@dataclass(frozen=True)
class Run:
    """A run as its page shows it; None for what the run did not reach or is not known yet.

    Attributes:
        config: the RunConfig (see pipeline/config.py) as a dict.
        versions: of the libraries.
        artifacts: "<stage>.<output>" to its URI.
        measurements: see measurements/measure.py.
        pushed: folder of the pushed model.
        run_id, machine, code, error: as in the run's summary.
        stages: in the order in which they ran.
        last_statistics: URI of the newest statistics before this run's.
    """

    config: Mapping[str, Any]
    versions: Mapping[str, str]
    artifacts: Mapping[str, str]
    measurements: Mapping[str, Any] = field(default_factory=dict)
    pushed: str | None = None
    run_id: str | None = None
    machine: Mapping[str, str] | None = None
    code: Mapping[str, str] | None = None
    error: str | None = None
    stages: tuple[Stage, ...] | None = None
    last_statistics: str | None = None

    @cached_property
    def task(self) -> Task:
        task: Task = pydantic.TypeAdapter(Task).validate_python(self.config["task"])
        return task

    def with_measurements(self, found: Mapping[str, Any]) -> Run:
        return dataclasses.replace(self, measurements=found)

    def has(self, *names: str) -> bool:
        """Whether the artifacts are known and still exist."""
        return all(name in self.artifacts and Path(self.artifacts[name]).exists() for name in names)

    def file(self, artifact: str, name: str) -> Path:
        return Path(self.artifacts[artifact], name)

    def read_json(self, artifact: str, name: str) -> Any:
        return json.loads(self.file(artifact, name).read_bytes())


def split_names(uri: str) -> list[str]:
    """The splits of an artifact with folders `Split-<name>`."""
    return sorted(path.name.removeprefix("Split-") for path in Path(uri).glob("Split-*"))


def read_examples(run: Run, split: str, most: int | None = None) -> Iterator[dict[str, Any]]:
    """The first `most` examples of a split: feature name to its first value, bytes as str."""
    import tensorflow as tf

    files = Path(run.artifacts["TextExampleGen.examples"]).glob(f"Split-{split}/*")
    records = tf.data.TFRecordDataset(sorted(map(str, files)), "GZIP").as_numpy_iterator()
    for record in itertools.islice(records, most):
        features = tf.train.Example.FromString(record).features.feature
        yield {name: _value(feature) for name, feature in features.items()}


def _value(feature: Any) -> Any:
    values = getattr(feature, feature.WhichOneof("kind")).value
    value = values[0] if values else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
