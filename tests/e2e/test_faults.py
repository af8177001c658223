"""What goes wrong stops the run with a message that helps, and leaves nothing that looks whole."""

import csv
import os
import re
import subprocess

import pytest
from command_line import CommandLine
from read_corpora import BIBLE, IMDB, records

from data.imdb import reader as imdb

pytestmark = pytest.mark.slow


@pytest.fixture
def command(tmp_path):
    return CommandLine(tmp_path)


def _fails(command, *arguments):
    """Runs and returns the error: one line on stderr, no traceback, nothing pushed."""
    done = command(*arguments)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not list(command.root.glob("serving_models/*/*"))
    return done.stderr.strip().splitlines()


def test_too_many_bad_rows_stop_the_run_and_are_kept_to_look_at(command, tmp_path):
    rows = [[r.features["text"], r.features["label"]] for r in records(IMDB)[::100]]
    for row, label in zip(rows[::40], ("2", "good", "-1", "", "1.0", "7", "x"), strict=True):
        row[1] = label
    file = tmp_path / "reviews.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    *_, error = _fails(command, "run", "imdb", "--preset", "smoke", "--source", str(file))
    assert "7" in error
    assert "bad_label" in error
    assert str(file) in error


def test_a_modernised_bible_stops_at_the_gate(command, tmp_path):
    modern = {"thou": "you", "thee": "you", "thy": "your", "ye": "you", "hath": "has",
              "saith": "says", "unto": "to", "shalt": "shall"}  # fmt: skip
    file = tmp_path / "modern.tsv"
    with file.open("w", encoding="utf-8") as stream:
        for record in records(BIBLE):
            for number, verse in enumerate(record.features["text"].split("\n"), 1):
                words = [modern.get(word, word) for word in verse.split(" ")]
                place = f"{record.features['book']}\t{record.features['chapter']}\t{number}"
                stream.write(f"{place}\t{' '.join(words)}\n")
    lines = _fails(command, "run", "bible", "--preset", "smoke", "--source", str(file))
    assert any(line.startswith("data gate:") for line in lines)
    assert not any("Transform" in line for line in lines)


def test_a_truncated_archive_is_an_error_of_one_line(command, tmp_path):
    whole = imdb.packaged_file().read_bytes()[:200_000]
    file = tmp_path / "aclImdb_v1.tar.gz"
    file.write_bytes(whole)
    *_, error = _fails(command, "run", "imdb", "--source", str(file))
    assert str(file) in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("run", "imdb", "--preset", "huge"),
            "expected one of quick, full, best, smoke, got 'huge'",
        ),
        (("run", "imdb", "--set", "model.d_mode=3"), "model has no 'd_mode'"),
        (("run", "imdb", "--set", "training.steps=many"), "expected a valid integer, got 'many'"),
        (("run", "bible", "--source", "/nowhere.tsv"), "/nowhere.tsv"),
        (("score", "imdb", "/nowhere.csv"), "/nowhere.csv: no such file"),
        (("predict", "imdb", "fine"), "`tf-mamba run imdb` trains and pushes one"),
        (("runs", "show", "nothing"), "no such run"),
    ],
)
def test_a_users_mistake_is_answered_on_one_line(command, arguments, message):
    (error,) = _fails(command, *arguments)
    assert error.startswith("tf-mamba: ")
    assert message in error


def test_a_full_disk_stops_the_run_and_the_next_run_goes_on(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk takes root")
    try:
        command = CommandLine(disk)
        *_, error = _fails(command, "run", "bible", "--preset", "smoke")
        (stage,) = re.findall(r"the disk is full; (\w+) did not finish", error)
        subprocess.run(["mount", "-o", "remount,size=500m", str(disk)], check=True)
        command.succeeds("run", "bible", "--preset", "smoke", "--to", stage)
        assert stage in command.newest()["seconds"]
        assert "TextExampleGen" in command.newest()["cached"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
