"""Edits of the code, and the stages that they make run again: by real runs of both tasks.

The runs go on a copy of the project, which each test edits further. test_cache.py asks TFX about
many more edits, without running them.
"""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import PROJECT
from warm_process import WarmProcess

from data.imdb import reader as imdb_reader

pytestmark = pytest.mark.slow

REPORTED = {"RunReport"}
PUSHED = {"ModelCard", "Pusher"} | REPORTED
EVALUATED = {"Evaluator"} | PUSHED
CHECKED = {"InfraCheck"} | PUSHED
TRAINED = {"Trainer"} | EVALUATED | CHECKED
TRANSFORMED = {"Transform"} | TRAINED
VALIDATED = {"ExampleValidator", "DataGate"} | TRANSFORMED
INGESTED = {"TextExampleGen", "StatisticsGen"} | VALIDATED
ALL = {"ReviewedSchema"} | INGESTED
_SMALL = ("training.steps=2", "training.warmup_steps=1", "model.d_model=16")
_OPTIONS = {
    "bible": ("data.fraction=0.04", "training.window=32", "model.vocabulary_size=300"),
    "imdb": ("model.vocabulary_size=400",),
}


class EditedProject:
    """A copy of the project, with a root folder for its runs."""

    def __init__(self, folder: Path):
        self.code, self._root, self._reviews = (
            folder / "code",
            folder / "root",
            folder / "reviews.csv",
        )
        for package in ("components", "data", "mamba_model", "pipeline", "serving"):
            shutil.copytree(
                PROJECT / package,
                self.code / package,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        shutil.copy(PROJECT / "setup.py", self.code)
        with imdb_reader.packaged_file().open(newline="", encoding="utf-8") as packaged:
            rows = [row for row in csv.DictReader(packaged) if row["source"] == "imdb"][::50]
        with self._reviews.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(
                [("text", "label"), *((row["text"], row["label"]) for row in rows)]
            )

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.code / name).read_text("utf-8")
        assert old in text, f"{name} has no {old!r}"
        (self.code / name).write_text(text.replace(old, new, 1), "utf-8")

    def append(self, text: str, *names: str) -> None:
        for name in names:
            with (self.code / name).open("a", encoding="utf-8") as file:
                file.write(text)

    def run(self, task: str) -> set[str]:
        """Runs a task's pipeline and returns the stages that did not come from the cache."""
        source = ("--source", str(self._reviews)) if task == "imdb" else ()
        settings = (*_SMALL, *_OPTIONS[task])
        process = WarmProcess(
            [
                *("run", task, "--preset", "smoke", "--root", str(self._root), *source),
                *(argument for setting in settings for argument in ("--set", setting)),
            ],
            cwd=self.code,
            env=os.environ | {"PYTHONPATH": str(self.code)},
        )
        _, err = process.communicate(timeout=600)
        assert process.returncode in (0, 3), err  # 3: such a small model is not blessed
        summary = json.loads((self._root / "runs" / task / "latest" / "summary.json").read_text())
        return set(summary["seconds"]) - set(summary["cached"]) - {"Baseline"}  # never cached


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> EditedProject:
    """After a run of each task."""
    made = EditedProject(tmp_path_factory.mktemp("edited"))
    assert made.run("bible") == made.run("imdb") == ALL
    return made


def edit_words(project: EditedProject) -> None:
    project.append("\n# A comment.\n", "mamba_model/scan.py", "data/imdb/formats.py")
    project.replace("pipeline/training/loop.py", '"""', '"""Edited. ')
    project.replace("pipeline/transform/preprocessing.py", '    """', '    """Edited. ')


def edit_another_preset(project: EditedProject) -> None:
    project.replace("data/bible/task.toml", "steps = 850", "steps = 851")
    project.replace("data/imdb/task.toml", "min_accuracy = 0.87", "min_accuracy = 0.88")  # full


def edit_min_accuracy(project: EditedProject) -> None:
    project.replace("data/imdb/task.toml", "min_accuracy = 0.55", "min_accuracy = 0.54")  # smoke


def edit_template(project: EditedProject) -> None:
    project.replace(
        "pipeline/report/templates/page.html.j2", "Skip to the verdict", "To the verdict"
    )


def edit_probe(project: EditedProject) -> None:
    project.append("\n_EDITED = 1\n", "components/infra_check/probe.py")


def edit_server(project: EditedProject) -> None:
    names = [f"serving/{path.name}" for path in (project.code / "serving").glob("*.py")]
    project.append("\n_EDITED = 1\n", *names)


def edit_schema(project: EditedProject) -> None:
    project.append("# Reviewed once more.\n", "data/imdb/schema.pbtxt")


def edit_normal_form(project: EditedProject) -> None:
    project.replace("data/imdb/task.toml", "'...'", "'…'")


def edit_csv_reader(project: EditedProject) -> None:
    project.append("\n_EDITED = 1\n", "data/imdb/formats.py")


def edit_scan(project: EditedProject) -> None:
    project.append("\n_EDITED = 1\n", "mamba_model/scan.py")


@pytest.mark.parametrize(
    ("edit", "imdb", "bible"),  # None: not asked, to save a run
    [
        (edit_words, set(), set()),
        (edit_another_preset, set(), set()),
        (edit_min_accuracy, EVALUATED, set()),
        (edit_template, REPORTED, None),
        (edit_probe, CHECKED, None),
        (edit_server, CHECKED, None),
        (edit_schema, {"ReviewedSchema"} | VALIDATED, None),
        (edit_normal_form, TRANSFORMED, None),
        (edit_csv_reader, INGESTED, CHECKED),  # by the edits of probe and server
        (edit_scan, TRAINED, TRAINED),
    ],
)
def test_an_edit_runs_the_stages_that_it_changes_and_those_after_them(
    project: EditedProject,
    edit: Callable[[EditedProject], None],
    imdb: set[str],
    bible: set[str] | None,
):
    edit(project)
    assert project.run("imdb") == imdb
    if bible is not None:
        assert project.run("bible") == bible
