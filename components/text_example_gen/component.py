"""TextExampleGen: the ExampleGen of this pipeline.

TFX's FileBasedExampleGen identifies its input by the number, sizes and time stamps of the
files: touching a file invalidates the cache, and editing one may not. TextExampleGen
identifies the input by the hash of its content.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.artifacts import IngestRecords
from components.text_example_gen import executor
from data.records import Source
from data.tasks import Reading, Task


class TextExampleGenSpec(component_spec.ComponentSpec):
    """Parameters and outputs; see TextExampleGen."""

    PARAMETERS = {  # noqa: RUF012
        "source": component_spec.ExecutionParameter(type=str),
        "task": component_spec.ExecutionParameter(type=str),
        "reading": component_spec.ExecutionParameter(type=str),
        "markers": component_spec.ExecutionParameter(type=str),
        "fraction": component_spec.ExecutionParameter(type=float),
        "max_characters": component_spec.ExecutionParameter(type=int),
        "max_dead_letter_share": component_spec.ExecutionParameter(type=float),
        "files_per_split": component_spec.ExecutionParameter(type=int),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}  # noqa: RUF012
    OUTPUTS = {  # noqa: RUF012
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "records": component_spec.ChannelParameter(type=IngestRecords),
    }


class TextExampleGen(base_beam_component.BaseBeamComponent):
    """Reads a verified source into splits of Examples.

    Outputs:
        examples: Examples, gzipped TFRecords of tf.train.Example under Split-<name>/; the
            reader's features, each with one value, and CHARACTERS, the length of the text.
            Splits without records are omitted.
        records: IngestRecords, the ledger and the dead letters.

    Args:
        source: as returned by the reader's `open_source`. The cache key has the hash of its
            content and, unless it is the packaged corpus, its path.
        task: what the corpus is read for.
        reading: how records are read; names the reader.
        markers: lower-case words that the ledger counts.
        fraction: share of the records to keep, in (0, 1].
        max_characters: a longer text becomes a dead letter.
        max_dead_letter_share: of the records read, in [0, 1]; a larger share stops the run.
        files_per_split: each file's records are sorted in memory, so a corpus of many gigabytes
            needs more than 1. Empty files are not written.
        code_sha256: hash of the code that this component runs; part of the cache key only.
    """

    SPEC_CLASS = TextExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        source: Source,
        task: Task,
        reading: Reading,
        markers: Sequence[str],
        fraction: float,
        max_characters: int,
        max_dead_letter_share: float,
        files_per_split: int = 1,
        code_sha256: str = "",
    ):
        super().__init__(
            spec=TextExampleGenSpec(
                source=source_identity(source),
                task=_json(dataclasses.asdict(task)),
                reading=_json(dataclasses.asdict(reading)),
                markers=_json(list(markers)),
                fraction=float(fraction),
                max_characters=max_characters,
                max_dead_letter_share=float(max_dead_letter_share),
                files_per_split=files_per_split,
                code_sha256=code_sha256,
                examples=types.Channel(type=standard_artifacts.Examples),
                records=types.Channel(type=IngestRecords),
            )
        )


def source_identity(source: Source) -> str:
    """Returns the source's identity in the cache key, as JSON.

    It has no path for a packaged corpus, as that path differs between environments and the
    reader finds the corpus without it. The executor opens any other source by its path.
    """
    path = "" if source.kind == "packaged" else source.path
    identity = {"kind": source.kind, "path": path, "sha256": source.sha256}
    return _json(identity)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
