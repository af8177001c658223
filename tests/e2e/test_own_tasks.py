"""Three tasks in one root, two of them a user's own: one in the root, one in another folder.

The commands run in a folder of their own, where the user's texts lie.
"""

import csv
import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import CommandLine
from copied_root import copy_root
from own_corpora import PARTS, snippets, verses, verses_by_part, write_csv

from data import dead_letters

pytestmark = pytest.mark.slow

EVERY = 12  # verses, of which one is in the corpus
UNKNOWN_LABEL, UNKNOWN = "letters", 12  # rows with a label that is no class
PROMPT = "the film is"


@dataclass(frozen=True)
class Own:
    """A root with pushed models of `bible`, of `parts` in the root's own folder of tasks, and of
    `snippets` in `tasks`.
    """

    command: CommandLine
    tasks: Path
    told: str  # by `new`, of parts
    rows: list[tuple[str, str]]  # of parts: verse and class
    first: dict[str, dict]  # summaries of the first run of each task

    @property
    def snippets(self) -> tuple[str, ...]:
        """The arguments that name the task in the other folder."""
        return ("snippets", "--tasks", str(self.tasks))


@pytest.fixture(scope="module")
def own(bible, tmp_path_factory) -> Own:
    folder = tmp_path_factory.mktemp("texts")
    root = copy_root(bible.root, tmp_path_factory.mktemp("three") / "root")
    command = CommandLine(root, folder)

    rows = [(text, part) for text, part, _ in verses_by_part(EVERY)]
    file = write_csv(folder / "verses.csv", ("words", "part"), rows)
    told = command.succeeds(
        "new", "parts", "--kind", "classification", "--source", "verses.csv",
        "--text", "words", "--label", "part",
    )  # fmt: skip
    letters = [verse.text.strip() for verse in verses() if verse.book == "Romans"]
    with file.open("a", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows((text, UNKNOWN_LABEL) for text in letters[:UNKNOWN])
    command.succeeds("run", "parts", "--preset", "smoke")

    text = "\n\n".join(text for text, _ in snippets()[::2])
    (folder / "snippets.txt").write_text(text + "\n", "utf-8")
    # Both paths are relative to the folder that the command runs in.
    other = ("snippets", "--tasks", "kept")
    command.succeeds("new", *other, "--kind", "next-token", "--source", "snippets.txt")
    command.succeeds("run", *other, "--preset", "smoke")

    first = {task: command.summary(task) for task in ("bible", "parts", "snippets")}
    return Own(command, folder / "kept", told, rows, first)


@pytest.fixture(scope="module")
def again(own) -> dict:
    """The summary of a second run of parts, with another model."""
    own.command.succeeds("run", "parts", "--preset", "smoke", "--seed", "2")
    return own.command.summary("parts")


def _file_of(tmp_path, rows):
    return str(write_csv(tmp_path / "rows.csv", ("words", "part"), rows))


def _read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_new_counts_the_records_and_writes_where_it_was_told(own):
    counts = Counter(part for _, part in own.rows)
    assert f"records: {len(own.rows):,} (" in own.told
    for part in PARTS:
        (line,) = (line for line in own.told.splitlines() if line.split()[:1] == [part])
        assert line.split()[1] == f"{counts[part]:,}"
    for folder in (own.command.root / "tasks" / "parts", own.tasks / "snippets"):
        assert {file.name for file in folder.iterdir()} == {"task.toml", "schema.pbtxt"}


def test_new_overwrites_nothing(own):
    file = own.command.root / "tasks" / "parts" / "task.toml"
    before = file.read_bytes()
    done = own.command("new", "parts", "--kind", "classification", "--source", "verses.csv")
    assert done.returncode == 1
    assert "--force" in done.stderr
    assert file.read_bytes() == before


def test_tasks_lists_the_built_in_ones_and_those_of_the_folder(own):
    def listed(*options):
        _, *lines = own.command.tells("tasks", *options).splitlines()
        return {line.split()[0] for line in lines}

    assert listed() == {"bible", "imdb", "parts"}
    assert listed("--tasks", str(own.tasks)) == {"bible", "imdb", "snippets"}
    done = own.command("run", "snippets", "--preset", "smoke")
    assert done.returncode == 1
    assert "snippets: there is no such task" in done.stderr


def test_a_label_that_is_no_class_is_a_dead_letter_that_counts(own):
    records = own.first["parts"]["records"]
    assert records["in"] == len(own.rows) + UNKNOWN
    assert records["dead_letters"] == {"bad_label": UNKNOWN}
    (file,) = own.command.root.glob("runs/artifacts/parts/**/dead_letters.jsonl")
    letters = list(dead_letters.read(file))
    assert {letter["reason"] for letter in letters} == {"bad_label"}
    assert all(UNKNOWN_LABEL in letter["excerpt"] for letter in letters)
    # A header and a row a line: Romans come last.
    lines = range(len(own.rows) + 2, len(own.rows) + 2 + UNKNOWN)
    assert sorted(letter["line"] for letter in letters) == list(lines)


def test_a_class_without_training_rows_stops_the_run_with_one_line(own, tmp_path):
    rest = [row for row in own.rows if row[1] != "gospels"]
    command = CommandLine(tmp_path / "root", own.command.folder)
    done = command(
        "run", "parts", "--preset", "smoke", "--tasks", str(own.command.root / "tasks"),
        "--source", _file_of(tmp_path, rest),
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    *_, error = done.stderr.strip().splitlines()
    assert error.startswith("tf-mamba: ")
    assert "gospels" in error
    assert not list(command.root.glob("serving_models/*/*"))


def test_metrics_are_those_of_each_kind_for_every_class(own):
    metrics = own.first["parts"]["metrics"]["eval"]
    assert {"accuracy", "macro_f1", "auc", "log_loss", "calibration_error"} <= metrics.keys()
    assert metrics["classes"].keys() == PARTS.keys()
    for of_class in metrics["classes"].values():
        assert {"precision", "recall", "auc", "f1"} <= of_class.keys()
    assert metrics["log_loss"] < math.log(len(PARTS))  # that of a guess
    assert own.first["snippets"]["metrics"]["eval"]["bits_per_char"] < 5


def test_the_first_run_of_a_task_is_compared_with_no_other_tasks_model(own):
    # When these began, the models of other tasks were there.
    for task in ("parts", "snippets"):
        assert own.first[task]["blessed"]
        assert not [name for name in own.first[task]["metrics"]["eval"] if name.endswith("_diff")]


def test_a_second_run_is_compared_with_its_own_tasks_model(own, again):
    metrics, before = again["metrics"]["eval"], own.first["parts"]["metrics"]["eval"]
    assert again["weights_sha256"] != own.first["parts"]["weights_sha256"]
    assert metrics["accuracy_diff"] == pytest.approx(
        metrics["accuracy"] - before["accuracy"], abs=1e-6
    )


def test_tasks_share_neither_versions_nor_checkpoints(own, again):
    root = own.command.root
    versions = {
        folder.name: {str(version) for version in folder.iterdir()}
        for folder in (root / "serving_models").iterdir()
    }
    assert versions["parts"] == {own.first["parts"]["pushed_path"], again["pushed_path"]}
    assert versions["snippets"] == {own.first["snippets"]["pushed_path"]}
    assert len(versions["bible"]) == 1
    assert versions.keys() == {"bible", "parts", "snippets"}
    trained = {folder.name for folder in (root / "runs" / "checkpoints").iterdir()}
    assert trained == versions.keys()


def test_runs_lists_those_of_every_task(own, again):
    runs = [line.split()[:2] for line in own.command.tells("runs").splitlines()]
    assert ["parts", again["run_id"]] in runs
    for task, summary in own.first.items():
        assert [task, summary["run_id"]] in runs


def test_an_unchanged_run_comes_from_the_cache_from_any_folder(own, tmp_path):
    command = CommandLine(own.command.root, tmp_path)
    command.succeeds("run", *own.snippets, "--preset", "smoke")
    summary = command.summary("snippets")
    assert {"TextExampleGen", "Transform", "Trainer", "Evaluator"} <= set(summary["cached"])
    assert summary["pushed_path"] == own.first["snippets"]["pushed_path"]


def test_predict_names_a_class_for_each_verse(own):
    texts = ("And the LORD spake unto Moses, saying,", "Jesus saith unto him, Follow me.")
    lines = own.command.succeeds("predict", "parts", *texts).splitlines()
    assert len(lines) == len(texts)
    for line, text in zip(lines, texts, strict=True):
        assert line.split()[0] in PARTS
        assert line.endswith(text[:60])


def test_score_of_other_verses_is_better_than_a_guess(own, tmp_path):
    rows = [(text, part) for text, part, _ in verses_by_part()[EVERY // 2 :: 5 * EVERY]]
    score = json.loads(own.command.tells("score", "parts", _file_of(tmp_path, rows)))
    assert score["n"] == len(rows)
    assert score["accuracy"] > 1 / len(PARTS)
    assert 0 < score["macro_f1"] < 1
    assert 0.5 < score["auc"] < 1
    assert 0 < score["log_loss"] < math.log(len(PARTS))


def test_infer_gives_the_score_of_every_class(own, tmp_path):
    file, out = tmp_path / "verses.txt", tmp_path / "out.jsonl"
    file.write_text("\n".join(text for text, _ in own.rows[:50]) + "\n", "utf-8")
    own.command.succeeds("infer", "parts", str(file), "--out", str(out))
    answers = _read(out)
    assert [answer["row"] for answer in answers] == list(range(50))
    for answer in answers:
        assert answer["scores"].keys() == PARTS.keys()
        assert sum(answer["scores"].values()) == pytest.approx(1, abs=1e-5)
        assert answer["label"] == max(answer["scores"], key=answer["scores"].get)


def test_the_next_token_task_outside_continues_and_scores_a_text(own, tmp_path):
    told = own.command.succeeds("generate", *own.snippets, PROMPT, "--seed", "5")
    assert told.startswith(PROMPT)
    assert len(told.strip()) > len(PROMPT) + 20

    file, out = tmp_path / "others.txt", tmp_path / "out.jsonl"
    texts = [text for text, _ in snippets()[1::500]]  # the corpus has the even ones
    file.write_text("\n\n".join(texts) + "\n", "utf-8")
    score = json.loads(own.command.tells("score", *own.snippets, str(file)))
    assert score["chars"] > 0.9 * sum(len(text) + 1 for text in texts)
    assert 1 < score["bits_per_char"] < 5

    file.write_text("\n".join(texts) + "\n", "utf-8")
    own.command.succeeds("infer", *own.snippets, str(file), "--out", str(out))
    answers = _read(out)
    assert len(answers) == len(texts)
    assert all(answer["bits"] > 0 for answer in answers)


def test_the_built_in_task_still_answers(own):
    prompt = "And the LORD said unto Moses,"
    assert own.command.tells("generate", "bible", prompt, "--seed", "5").startswith(prompt)


def test_a_command_for_the_other_kind_says_so(own):
    for arguments in (("generate", "parts", PROMPT), ("predict", *own.snippets, PROMPT)):
        done = own.command(*arguments)
        assert done.returncode == 1
        (error,) = done.stderr.strip().splitlines()
        assert error.startswith(f"tf-mamba: {arguments[1]}: expected a task that ")
