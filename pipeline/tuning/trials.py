"""The books of a search for better settings: what each trial gave, and the table of all.

    runs/tuning/<task>/<key>/search.json              what the key stands for
                             trials.csv               a row a trial, in their order
                             trials/<key>/result.json what this one gave
                                          training.csv, tensorboard/, checkpoints/

All that determines a trial's result is in the two keys: data, code, configuration and
ranges in the first, the trial's own settings in the second. So a result that is there holds
whenever the same trial comes up again.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_RESULT, _TABLE, _SEARCH = "result.json", "trials.csv", "search.json"


@dataclass(frozen=True)
class Trial:
    """One training with its own settings, and what it gave on split eval."""

    number: int  # from 0, which is the configuration as it is
    settings: Mapping[str, float]
    loss: float | None = None  # nats; None: the training broke down
    accuracy: float | None = None
    steps: int | None = None
    seconds: float | None = None
    error: str | None = None

    @property
    def status(self) -> str:
        return "completed" if self.error is None else "failed"

    @property
    def arguments(self) -> str:
        """The settings as `tf-mamba run` takes them."""
        return " ".join(f"--set {name}={value!r}" for name, value in self.settings.items())


@dataclass(frozen=True)
class Search:
    """The folder of a search."""

    folder: Path

    @classmethod
    def below(cls, root: Path, facts: Mapping[str, Any]) -> Search:
        """The one below `root` that belongs to the facts, which see search_space.py."""
        search = cls(root / _key(facts))
        _write(search.folder / _SEARCH, json.dumps(facts, indent=2) + "\n")
        return search

    @property
    def table(self) -> Path:
        return self.folder / _TABLE

    def trial_folder(self, settings: Mapping[str, float]) -> Path:
        return self.folder / "trials" / _key(dict(settings))

    def result(self, settings: Mapping[str, float]) -> Trial | None:
        """What a trial with these settings gave; None if it has not ended yet."""
        return _read(self.trial_folder(settings) / _RESULT)

    def keep(self, trial: Trial) -> None:
        """Writes a trial's result, and the table anew, each whole or not at all."""
        result = json.dumps(dataclasses.asdict(trial), indent=2) + "\n"
        _write(self.trial_folder(trial.settings) / _RESULT, result)
        _write(self.table, _as_csv(self.trials()))

    def trials(self) -> list[Trial]:
        """All that have ended, in the order of their numbers."""
        found = map(_read, self.folder.glob(f"trials/*/{_RESULT}"))
        return sorted((trial for trial in found if trial), key=lambda trial: trial.number)


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """By loss; those that broke down come last."""
    return sorted(trials, key=lambda t: (t.loss is None, t.loss, t.number))


def as_table(trials: Sequence[Trial]) -> str:
    """The trials as lines of aligned columns, best first."""
    names = [name.split(".")[-1] for name in trials[0].settings]
    rows = [["trial", "loss", "accuracy", "seconds", *names]]
    for trial in best_first(trials):
        figures = (trial.loss, trial.accuracy, trial.seconds)
        texts = [
            "failed" if figure is None else format(figure, form)
            for figure, form in zip(figures, (".4f", ".4f", ".0f"), strict=True)
        ]
        rows.append([str(trial.number), *texts, *(f"{v:g}" for v in trial.settings.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    )


def _as_csv(trials: Sequence[Trial]) -> str:
    text = io.StringIO(newline="")
    figures = ("loss", "accuracy", "steps", "seconds", "status")
    names = list(trials[0].settings)
    writer = csv.DictWriter(text, ["trial", *names, *figures, "error"], lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        row: dict[str, Any] = {name: getattr(trial, name) for name in (*figures, "error")}
        writer.writerow({"trial": trial.number, **trial.settings, **row})
    return text.getvalue()


def _key(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> Trial | None:
    try:
        return Trial(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        print(f"warning: {path}: not as it was written; the trial runs again", file=sys.stderr)
        return None


def _write(path: Path, text: str) -> None:
    """Writes a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    with open(unfinished, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
