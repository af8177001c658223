"""`tf-mamba score`: scores a pushed model on a file, read as a stream.

Memory does not grow with the file. Reviews are read in blocks. Text is read in parts of whole
lines, and the model's state is passed from one part to the next.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data import features
from data.errors import UserError
from data.imdb import formats as imdb_formats
from data.records import DeadLetter
from pipeline.pushed_models.model import predict
from pipeline.transform.token_ids import START_ID
from serving.served_model import ServedModel

# Reviews that are read at a time and sorted by length, so that batches need little padding.
_BLOCK, _BATCH = 1024, 32
_BINS = 1 << 20  # of the histogram of probabilities, for the AUC
# Text: characters of a part, and parts of different documents in a batch.
_PART, _LANES = 8_000, 16


def score_reviews(folder: Path, file: Path) -> dict[str, float | int]:
    """Scores a sentiment model on a CSV file with columns text and label.

    Returns: `accuracy`, `auc`, `log_loss` (nats), `n`. The AUC treats probabilities that are
    closer than 1e-6 as ties.

    Raises:
        UserError: at the first unusable row, with its line.
    """
    model = ServedModel(folder)
    correct = n = 0
    log_loss = 0.0
    counts = np.zeros((2, _BINS), np.int64)
    rows = _rows(file)
    while block := list(itertools.islice(rows, _BLOCK)):
        block.sort(key=lambda row: len(row[0]))
        for start in range(0, len(block), _BATCH):
            texts, labels = zip(*block[start : start + _BATCH], strict=True)
            outputs = predict(model, "serving_default", text=texts)
            probability = outputs["probability"].astype(float)
            label = np.array(labels)
            correct += int(np.sum(features.is_positive(probability) == label))
            of_label = np.where(label == 1, probability, 1 - probability)
            log_loss -= float(np.sum(np.log(np.maximum(of_label, 1e-7))))
            np.add.at(counts, (label, np.minimum((probability * _BINS).astype(int), _BINS - 1)), 1)
            n += len(labels)
    if n == 0:
        raise UserError(f"{file}: expected reviews, found none")
    return {"accuracy": correct / n, "auc": _auc(*counts), "log_loss": log_loss / n, "n": n}


def _rows(file: Path) -> Iterator[tuple[str, int]]:
    for row in imdb_formats.csv_rows(file):
        if isinstance(row, DeadLetter):
            raise UserError(f"{row.file}:{row.line}: {row.reason}: {row.excerpt[:80]!r}")
        yield row.text, row.label


def _auc(negatives: np.ndarray, positives: np.ndarray) -> float:
    """Share of (negative, positive) pairs in the right order, ties count half; NaN if no pairs."""
    below = np.cumsum(negatives) - negatives
    pairs = int(negatives.sum()) * int(positives.sum())
    return float(np.sum(positives * (below + negatives / 2)) / pairs) if pairs else math.nan


@dataclass(frozen=True)
class Part:
    """Lines of one document, or a piece of a long line."""

    text: str
    ends_line: bool
    starts_document: bool


def score_text(folder: Path, file: Path) -> dict[str, float | int]:
    """Scores a next-token model on plain text, one verse per line.

    A blank line starts a new document, for which the model's state is reset. Blank lines do not
    count as characters; line ends do, including that of the last line.

    Returns: `bits_per_char`, `top1` (share of tokens that the model ranked first), `tokens`,
    `chars` (of the normal form).

    Raises:
        UserError: if the file holds no text.
    """
    model = ServedModel(folder)
    inputs = model.signatures["score_stream"].definition.inputs
    fresh = {"last_token": np.array([START_ID])} | {
        name: np.zeros([1, *(dim.size for dim in inputs[name].tensor_shape.dim[1:])], np.float32)
        for name in ("conv", "ssm")
    }
    state = fresh
    sums = dict.fromkeys(("bits", "characters", "tokens", "correct"), 0.0)
    for batch in _batches(parts(_lines(file))):
        outputs = predict(
            model,
            "score_stream",
            text=[part.text for part in batch],
            ends_line=[part.ends_line for part in batch],
            **_rows_of_state(batch, fresh, state),
        )
        for name in sums:
            sums[name] += float(np.sum(outputs[name], dtype=np.float64))
        state = {name: outputs[name] for name in fresh}
    if not sums["characters"]:
        raise UserError(f"{file}: expected text, found none")
    return {
        "bits_per_char": sums["bits"] / sums["characters"],
        "top1": sums["correct"] / sums["tokens"],
        "tokens": int(sums["tokens"]),
        "chars": int(sums["characters"]),
    }


def _rows_of_state(
    batch: Sequence[Part], fresh: dict[str, np.ndarray], before: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The state of each row: fresh if it starts a document, else that of the last row before."""
    return {
        name: np.concatenate(
            [start if part.starts_document else before[name][-1:] for part in batch]
        )
        for name, start in fresh.items()
    }


def _lines(file: Path) -> Iterator[tuple[str, bool]]:
    """Pieces of lines without their line ends, and whether the line ends there."""
    with file.open(encoding="utf-8-sig", errors="replace", newline=None) as stream:
        while line := stream.readline(_PART):
            ends = line.endswith("\n")
            yield line.removesuffix("\n"), ends or len(line) < _PART


def parts(lines: Iterable[tuple[str, bool]]) -> Iterator[Part]:
    """Groups lines into parts of about _PART characters that end at line ends.

    A longer line is cut, within a word if possible, because the normal form would drop a space at
    the cut.
    """
    starts_document = True
    waiting: list[str] = []
    rest = ""  # of a line that was cut

    def flush(ends_line: bool) -> Iterator[Part]:
        nonlocal starts_document
        if waiting:
            yield Part("\n".join(waiting), ends_line, starts_document)
            starts_document = False
            waiting.clear()

    for piece, ends in lines:
        text = rest + piece
        rest = ""
        if not ends:
            yield from flush(True)
            cut = _cut(text)
            waiting.append(text[:cut])
            rest = text[cut:]
            yield from flush(False)
        elif text.strip():
            if sum(len(line) + 1 for line in waiting) + len(text) > _PART:
                yield from flush(True)
            waiting.append(text)
        else:
            yield from flush(True)
            starts_document = True
    yield from flush(True)


def _cut(text: str) -> int:
    """Where to cut a long piece: the last position without a space on either side."""
    for at in range(len(text) - 1, len(text) // 2, -1):
        if not text[at - 1].isspace() and not text[at].isspace():
            return at
    return len(text)


def _batches(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Groups parts so that only the last part of a batch can continue in the next batch."""
    batch: list[Part] = []
    for part in parts:
        if batch and (len(batch) == _LANES or not part.starts_document):
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch
