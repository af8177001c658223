"""Progress of a training: a CSV file, TensorBoard events, and a bar on the terminal."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable
from typing import Any

import tensorflow as tf
from tqdm import tqdm

Row = dict[str, float]
CSV_FILE = "training.csv"
_SHOWN = ("loss", "eval_loss", "tokens_per_second")


class TrainingLog:
    """Writes rows of a `step` and its figures to training.csv and tensorboard/ in `folder`.

    A row may lack some figures. `rows`: the earlier rows of a resumed training, so that the
    new files are complete.
    """

    def __init__(self, folder: str, columns: Iterable[str], steps: int, rows: Iterable[Row]):
        os.makedirs(folder, exist_ok=True)
        self._events = tf.summary.create_file_writer(os.path.join(folder, "tensorboard"))
        self._file = open(os.path.join(folder, CSV_FILE), "w", newline="")  # noqa: SIM115
        self._csv = csv.DictWriter(self._file, ["step", *columns])
        self._csv.writeheader()
        self._bar = tqdm(
            total=steps,
            unit="step",
            desc="  training",
            mininterval=1 if sys.stderr.isatty() else 30,
            leave=False,
        )
        for row in rows:
            self.write(row)

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()
        self._events.close()
        self._file.close()

    def advance(self, step: int) -> None:
        """Moves the bar to `step`."""
        self._bar.update(step - self._bar.n)

    def write(self, row: Row) -> None:
        self._csv.writerow(row)
        self._file.flush()
        figures = {name: value for name, value in row.items() if name != "step"}
        with self._events.as_default(step=int(row["step"])):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
        shown = {name: f"{row[name]:.4g}" for name in _SHOWN if name in row}
        self._bar.set_postfix(shown, refresh=False)
