"""`tf-mamba score`: scores a pushed model on a file, read as a stream.

Memory does not grow with the file. Labelled texts are read in blocks. Text is read in parts of
whole lines, and the model's state is passed from one part to the next.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from data.decoding import without_escapes
from data.errors import UserError
from data.generic.reader import labelled_rows
from data.generic.streams import open_text
from data.records import DeadLetter
from data.tasks import Reading, Task
from pipeline.evaluation import formulas
from pipeline.pushed_models.model import predict
from pipeline.transform.token_ids import START_ID
from serving.served_model import ServedModel

# Texts that are read at a time and sorted by length, so that batches need little padding.
_BLOCK, _BATCH = 1024, 32
_BINS = 1 << 21  # of the histograms of scores, of all classes together, for the AUC
# Text: characters of a part, and parts of different documents in a batch.
_PART, _LANES = 8_000, 16
LONGEST_LINE = 1 << 20  # characters of a text
_CONTROL = re.compile("[\\x00-\\x08\\x0e-\\x1f\\x7f]")
_PROGRESS_AFTER = 10  # seconds


def score_labelled(
    folder: Path, file: Path, task: Task, reading: Reading
) -> dict[str, float | int | None]:
    """Scores a classification's model on a file with a text and a label in each row.

    Returns: `accuracy`, `macro_f1`, `auc` (the mean over the classes, each against the rest; None
    if all texts are of one class), `log_loss` (nats), `n`. All but `n` are None if the model gives
    NaN. The AUC treats scores as ties that are
    closer than 5e-7 times the number of classes.

    Raises:
        UserError: at the first unusable row, with its line; or if there are no rows.
    """
    model = ServedModel(folder)
    classes = len(task.classes)
    log_loss = 0.0
    confusion = np.zeros((classes, classes), np.int64)  # by label and answer
    bins = _BINS // classes
    ranks = np.zeros((classes, 2, bins), np.int64)  # of other classes' texts, and of its own
    rows = _with_progress(_rows(file, task, reading), lambda _: 1, None, "text")
    while block := list(itertools.islice(rows, _BLOCK)):
        block.sort(key=lambda row: len(row[0]))
        for start in range(0, len(block), _BATCH):
            texts, of_texts = zip(*block[start : start + _BATCH], strict=True)
            labels = np.array(of_texts)  # (b,)
            scores = predict(model, "serving_default", text=texts)["scores"].astype(float)  # (b, n)
            np.add.at(confusion, (labels, np.argmax(scores, axis=1)), 1)
            of_label = scores[np.arange(len(labels)), labels]
            log_loss -= float(np.sum(np.log(np.maximum(of_label, 1e-7))))
            own = (labels[:, None] == np.arange(classes)).astype(int)  # (b, n)
            rank = np.minimum((scores * bins).astype(int), bins - 1)
            np.add.at(ranks, (np.arange(classes), own, rank), 1)
    n = int(confusion.sum())
    if n == 0:
        raise UserError(f"{file}: expected texts with labels, found none")
    right, labelled, answered = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    counts = zip(labelled.tolist(), answered.tolist(), right.tolist(), strict=True)
    auc = formulas.mean(formulas.area_under_curve(*of_class) for of_class in ranks)
    if math.isnan(log_loss):
        return {"accuracy": None, "macro_f1": None, "auc": None, "log_loss": None, "n": n}
    return {
        "accuracy": int(right.sum()) / n,
        "macro_f1": formulas.mean(formulas.f1(*of_class) for of_class in counts),
        "auc": None if math.isnan(auc) else auc,
        "log_loss": log_loss / n,
        "n": n,
    }


def _rows(file: Path, task: Task, reading: Reading) -> Iterator[tuple[str, int]]:
    """Text and class of each row."""
    for row in labelled_rows(file, task, reading):
        if isinstance(row, DeadLetter):
            raise UserError(f"{row.file}:{row.line}: {row.reason}: {row.excerpt[:80]!r}")
        yield row[0], row[1]


@dataclass(frozen=True)
class Part:
    """Lines of one document, or a piece of a long line."""

    text: str
    ends_line: bool
    starts_document: bool


def score_text(folder: Path, file: Path) -> dict[str, float | int]:
    """Scores a next-token model on plain text.

    A blank line starts a new document, for which the model's state is reset. Blank lines do not
    count as characters; line ends do, including that of the last line.

    Returns: `bits_per_char`, `top1` (share of tokens that the model ranked first), `tokens`,
    `chars` (of the normal form).

    Raises:
        UserError: if the file holds no text, is not UTF-8 or UTF-16, or has control characters or
            a line of more than LONGEST_LINE characters. Nothing is scored then.
    """
    total = sum(len(piece) for piece, _ in _lines(file))
    model = ServedModel(folder)
    inputs = model.signatures["score_stream"].definition.inputs
    fresh = {"last_token": np.array([START_ID])} | {
        name: np.zeros([1, *(dim.size for dim in inputs[name].tensor_shape.dim[1:])], np.float32)
        for name in ("conv", "ssm")
    }
    state = fresh
    sums = dict.fromkeys(("bits", "characters", "tokens", "correct"), 0.0)
    lines = _with_progress(_lines(file), lambda line: len(line[0]), total, "character")
    for batch in _batches(parts(lines)):
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
    """Pieces of lines without their line ends, and whether the line ends there.

    Raises:
        UserError: at the first line that is no text, or too long.
    """
    number, size, size_in_bytes = 1, 0, 0  # of the line
    with open_text(file) as stream:
        while line := stream.readline(_PART):
            where = f"{file}:{number}"
            without_escapes(line, where, size_in_bytes)
            if found := _CONTROL.search(line):
                raise UserError(
                    f"{where}: expected text, got the control character {found[0]!r} at character"
                    f" {size + found.start() + 1}. Remove it, or name a text file."
                )
            ends = line.endswith("\n")
            size, size_in_bytes = size + len(line), size_in_bytes + len(line.encode())
            if size > LONGEST_LINE:
                raise UserError(
                    f"{where}: expected at most {LONGEST_LINE:,} characters per line. Add line"
                    " ends."
                )
            yield line.removesuffix("\n"), ends or len(line) < _PART
            if ends:
                number, size, size_in_bytes = number + 1, 0, 0


T = TypeVar("T")


def _with_progress(
    items: Iterable[T], size: Callable[[T], int], total: int | None, unit: str
) -> Iterator[T]:
    """Yields the items; shows on standard error how many are read, if that takes a while."""
    with tqdm(
        total=total, desc="scored", unit=unit, unit_scale=True, delay=_PROGRESS_AFTER, mininterval=1
    ) as bar:
        for item in items:
            yield item
            bar.update(size(item))


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
