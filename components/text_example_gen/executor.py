"""Runs the ingest of `transforms.py` and checks its ledger.

All errors that a user can fix are raised here: Beam's workers would wrap them in a traceback.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pydantic
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import Artifact, artifact_utils

from components.text_example_gen.transforms import Ingest
from data import dead_letters, readers
from data.errors import UserError
from data.records import SPLITS, Source
from data.tasks import Reading, Task

LEDGER = "records.json"
DEAD_LETTERS = "dead_letters.jsonl"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Converts a source to Examples and a ledger; see `component.TextExampleGen`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes both outputs.

        Raises:
            UserError: if the source cannot be read, or changed since the run started; if too
                many of its records cannot be used; or if train or eval has no example.
            AssertionError: if a record that was read is not accounted for.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        records = artifact_utils.get_single_instance(output_dict["records"])
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        ledger_path = Path(records.uri, LEDGER)
        dead_letters_path = Path(records.uri, DEAD_LETTERS)
        task = pydantic.TypeAdapter(Task).validate_json(exec_properties["task"])
        reading = pydantic.TypeAdapter(Reading).validate_json(exec_properties["reading"])
        source = open_again(reading, exec_properties["source"])
        with self._make_beam_pipeline() as pipeline:
            _ = pipeline | Ingest(
                source=source,
                task=task,
                reading=reading,
                markers=json.loads(exec_properties["markers"]),
                fraction=exec_properties["fraction"],
                max_characters=exec_properties["max_characters"],
                files_per_split=exec_properties["files_per_split"],
                split_uris={
                    split: artifact_utils.get_split_uri([examples], split) for split in SPLITS
                },
                dead_letters_path=dead_letters_path,
                ledger_path=ledger_path,
            )
        ledger = json.loads(ledger_path.read_bytes())
        if unreadable := ledger.get("unreadable"):
            raise UserError(min(unreadable))
        _check_balance(ledger)
        _check_dead_letters(ledger, dead_letters_path, exec_properties["max_dead_letter_share"])
        _check_enough(ledger, exec_properties["fraction"])
        examples.split_names = artifact_utils.encode_split_names(
            [split for split in SPLITS if ledger["examples"][split]]
        )
        tf_example = example_gen_pb2.FORMAT_TF_EXAMPLE  # type: ignore[attr-defined]
        examples_utils.set_payload_format(examples, tf_example)
        examples_utils.set_file_format(examples, "tfrecords_gzip")


def open_again(reading: Reading, identity: str) -> Source:
    """Opens the source that `identity` (see `component.source_identity`) describes.

    Hashes the content again, so that the source is the one in the cache key even if its files
    changed since the run started.

    Raises:
        UserError: if the source does not exist, or its content has changed.
    """
    expected = json.loads(identity)
    source: Source = readers.load(reading.reader).open_source(expected["path"] or None, reading)
    if source.sha256 != expected["sha256"]:
        raise UserError(
            f"{source.path}: changed during the run: expected SHA-256 "
            f"{expected['sha256']}, got {source.sha256}. Start the run again."
        )
    return source


def _check_balance(ledger: dict[str, Any]) -> None:
    read, examples = ledger["read"], sum(ledger["examples"].values())
    dead, repeats = sum(ledger["dead_letters"].values()), ledger["repeats"]
    sampled_out = ledger["sampled_out"]
    if read != examples + dead + repeats + sampled_out:
        raise AssertionError(
            f"records are missing: {read} read, but {examples} examples + {dead} dead letters "
            f"+ {repeats} repeats + {sampled_out} sampled out"
        )


def _check_dead_letters(ledger: dict[str, Any], path: Path, limit: float) -> None:
    dead, read = sum(ledger["dead_letters"].values()), ledger["read"]
    if dead <= limit * read:
        return
    # TFX deletes the outputs of a failed execution, but not files beside them.
    kept_path = path.parent.with_name(f"{path.parent.name}-{DEAD_LETTERS}")
    shutil.copyfile(path, kept_path)
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(ledger["dead_letters"].items()))
    examples = "; ".join(
        f"{letter['file']}:{letter['line']} {letter['reason']} {letter['excerpt'][:60]!r}"
        for letter in dead_letters.read(path, most=3)
    )
    raise UserError(
        f"{ledger['source']['path']}: {dead} of {read} records cannot be used "
        f"({dead / read:.1%}; at most {limit:.1%} may): {reasons}. First: {examples}. "
        f"All of them: {kept_path}. Correct the source or raise max_dead_letter_share."
    )


def _check_enough(ledger: dict[str, Any], fraction: float) -> None:
    empty = [split for split in ("train", "eval") if not ledger["examples"][split]]
    if empty:
        raise UserError(
            f"{ledger['source']['path']}: no example for {' and '.join(empty)} among the "
            f"{ledger['read']} records read, with fraction {fraction:g}; training and evaluation "
            "need at least one each. Give more text or a larger fraction."
        )
