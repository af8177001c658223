"""Records of a search for better settings: each trial's result, and a table of all trials.

    runs/tuning/<task>/<key>/search.json              the facts that the key is the hash of
                             trials.csv               one row per trial, in their order
                             trials/<key>/result.json the trial's result
                                          training.csv, tensorboard/, checkpoints/

The two keys hash all that determines a trial's result: the first covers data, code,
configuration and ranges, the second the trial's own settings. So a stored result stays valid
whenever the same trial comes up again.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from data.files import write_whole

_RESULT, _TABLE, _SEARCH = "result.json", "trials.csv", "search.json"


@dataclass(frozen=True)
class Trial:
    """One training with its own settings, and its figures on split eval."""

    number: int  # from 0, the unchanged configuration
    settings: Mapping[str, float]
    loss: float | None = None  # nats; None: the training failed
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
        """The search below `root` that belongs to `facts`; see search_space.what_determines."""
        search = cls(root / _key(facts))
        write_whole(search.folder / _SEARCH, json.dumps(facts, indent=2) + "\n")
        return search

    @property
    def table(self) -> Path:
        return self.folder / _TABLE

    def trial_folder(self, settings: Mapping[str, float]) -> Path:
        return self.folder / "trials" / _key(dict(settings))

    def result(self, settings: Mapping[str, float]) -> Trial | None:
        """The result of the trial with these settings; None if it has not ended yet."""
        return _read(self.trial_folder(settings) / _RESULT)

    def keep(self, trial: Trial) -> None:
        """Writes a trial's result, and rewrites the table, both atomically."""
        result = json.dumps(dataclasses.asdict(trial), indent=2) + "\n"
        write_whole(self.trial_folder(trial.settings) / _RESULT, result)
        write_whole(self.table, _as_csv(self.trials()))

    def trials(self) -> list[Trial]:
        """All trials that have ended, by number."""
        found = map(_read, self.folder.glob(f"trials/*/{_RESULT}"))
        return sorted((trial for trial in found if trial), key=lambda trial: trial.number)


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """By loss; failed trials come last."""
    return sorted(trials, key=lambda t: (t.loss is None, t.loss, t.number))


def as_table(trials: Sequence[Trial]) -> str:
    """The trials as lines of aligned columns, best first."""
    names = [name.split(".")[-1] for name in trials[0].settings]
    return tabulate(
        [
            [trial.number, trial.loss, trial.accuracy, trial.seconds, *trial.settings.values()]
            for trial in best_first(trials)
        ],
        headers=["trial", "loss", "accuracy", "seconds", *names],
        tablefmt="plain",
        floatfmt=("g", ".4f", ".4f", ".0f", *["g"] * len(names)),
        missingval="failed",
        colalign=["right"] * (4 + len(names)),
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
        print(f"warning: {path}: damaged; the trial runs again", file=sys.stderr)
        return None
