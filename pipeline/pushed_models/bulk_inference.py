"""`tf-mamba infer`: runs a pushed model over a file of any size; each row gives a row of output.

Rows are read in blocks. Each block is sorted by length, so that batches need little padding, and
written in the file's order to OUT.partial, which is renamed to OUT when complete. A run that was
killed resumes after the last complete row if file, model and settings, recorded in
OUT.partial.json, are the same.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import grpc

from data import plain_json
from data.errors import UserError
from data.files import write_whole
from data.records import file_sha256
from pipeline.pushed_models.bulk_rows import Row, read_rows
from serving.errors import ServingError
from serving.served_model import ServedModel
from serving.tensors import json_values

_BATCH = 32  # rows; the models' signatures process as many at a time
_BLOCK_BYTES = 1 << 24


@dataclass(frozen=True)
class Job:
    """What to ask the model.

    Attributes:
        signature: has an input `text`, which gets the rows.
        outputs: the ones to write, if the signature has them; `scores` by the class's name.
        settings: other inputs, one value for all rows.
        block: rows that are written at a time.
    """

    signature: str
    outputs: tuple[str, ...]
    settings: dict[str, int | float] = field(default_factory=dict)
    block: int = 1024


CLASSIFY = Job("serving_default", ("label", "scores", "probability"))
SCORE = Job("score", ("bits", "characters"))


def generate(**settings: int | float) -> Job:
    """A job that continues each row's text."""
    return Job("serving_default", ("text", "log_probability", "tokens"), settings, block=128)


@dataclass(frozen=True)
class Report:
    """Rows in all, rows that an earlier run had written, and rows with an error."""

    rows: int
    resumed_at: int
    errors: int


def infer(model_folder: Path, job: Job, file: Path, out: Path) -> Report:
    """Writes a JSON line to `out` for each row of `file`: `row`, from 0, and outputs or `error`.

    Raises:
        UserError: if `file` cannot be read, `out` cannot be written, another run is writing it, or
            the signature does not take a setting.
    """
    rows = read_rows(file)
    first = list(itertools.islice(rows, 1))  # raises if the file is wrong
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out}: expected a file in a folder that exists")
    partial = out.with_name(out.name + ".partial")
    identity = {
        "file_sha256": file_sha256(file),
        "model": str(model_folder.resolve()),
        "signature": job.signature,
        "settings": job.settings,
    }
    with _locked(partial) as stream:
        done, errors = _resume(stream, partial, identity)
        if done:
            print(f"resuming after row {done} of {partial}", file=sys.stderr)
        model = ServedModel(model_folder)
        known = model.signatures[job.signature].definition.inputs
        if unknown := sorted(set(job.settings) - set(known)):
            raise UserError(f"{model_folder}: {job.signature} takes no {unknown[0]}")
        total = done
        for block in _blocks(itertools.islice(itertools.chain(first, rows), done, None), job.block):
            answers = _answers(model, job, block)
            errors += sum("error" in answer for answer in answers)
            lines = (
                plain_json.dumps({"row": total + i, **answer}) + "\n"
                for i, answer in enumerate(answers)
            )
            stream.write("".join(lines).encode())
            stream.flush()
            os.fsync(stream.fileno())
            total += len(block)
        partial.rename(out)
        _identity_file(partial).unlink(missing_ok=True)
    return Report(total, done, errors)


@contextmanager
def _locked(partial: Path) -> Iterator[BinaryIO]:
    try:
        stream = partial.open("a+b")
    except OSError as error:
        raise UserError(f"{partial}: cannot be written: {error.strerror}") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{partial}: another run is writing it") from error
        yield stream


def _identity_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ".json")


def _resume(stream: BinaryIO, partial: Path, identity: dict[str, Any]) -> tuple[int, int]:
    """Truncates the file to the rows that can be kept; returns their number and their errors."""
    record = _identity_file(partial)
    try:
        same = json.loads(record.read_text()) == identity
    except (OSError, ValueError):
        same = False
    rows = errors = end = 0
    if same:
        stream.seek(0)
        for line in stream:
            if not line.endswith(b"\n"):
                break
            rows, errors, end = rows + 1, errors + ("error" in json.loads(line)), end + len(line)
    stream.truncate(end)
    if not same:
        write_whole(record, json.dumps(identity))
    return rows, errors


def _blocks(rows: Iterator[Row], most: int) -> Iterator[list[Row]]:
    """Groups rows into blocks of at most `most` rows and _BLOCK_BYTES; a longer row is alone."""
    block: list[Row] = []
    size = 0
    for row in rows:
        if block and (len(block) == most or size + len(row.text) > _BLOCK_BYTES):
            yield block
            block, size = [], 0
        block.append(row)
        size += len(row.text)
    if block:
        yield block


def _answers(model: ServedModel, job: Job, block: Sequence[Row]) -> list[dict[str, Any]]:
    """The outputs or the error of each row of a block."""
    answers: list[dict[str, Any]] = [{"error": row.error} for row in block]
    usable = [i for i, row in enumerate(block) if not row.error]
    usable.sort(key=lambda i: len(block[i].text))
    for start in range(0, len(usable), _BATCH):
        batch = usable[start : start + _BATCH]
        try:
            results = _run(model, job, [block[i].text for i in batch])
        except ServingError:
            results = [_alone(model, job, block[i].text) for i in batch]
        for i, result in zip(batch, results, strict=True):
            answers[i] = result
    return answers


def _alone(model: ServedModel, job: Job, text: bytes) -> dict[str, Any]:
    try:
        return _run(model, job, [text])[0]
    except ServingError as error:
        if error.code == grpc.StatusCode.INVALID_ARGUMENT:
            return {"error": str(error)}
        raise


def _run(model: ServedModel, job: Job, texts: list[bytes]) -> list[dict[str, Any]]:
    settings = {name: [value] for name, value in job.settings.items()}
    outputs = model.predict(job.signature, text=texts, **settings)
    columns = {name: json_values(name, outputs[name]) for name in job.outputs if name in outputs}
    if "scores" in columns:
        classes = json_values("classes", outputs["classes"])
        named = zip(classes, columns["scores"], strict=True)
        columns["scores"] = [dict(zip(*row, strict=True)) for row in named]
    return [{name: column[i] for name, column in columns.items()} for i in range(len(texts))]
