import subprocess
import sys

import pytest

from data.errors import UserError
from pipeline.runs import lock as run_lock

# Holds the lock until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from pipeline.runs import lock as run_lock
with run_lock.hold(Path(sys.argv[1]), "imdb", "run-1"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds imdb's lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_of_the_task_is_refused_and_told_which_one_is_running(tmp_path, other):
    message = rf"imdb: run-1 is running in .* \(process {other.pid}\); wait until it ends"
    with pytest.raises(UserError, match=message), run_lock.hold(tmp_path, "imdb", "run-2"):
        pass
    assert run_lock.holder(tmp_path, "imdb") == "run-1"


def test_another_task_may_run_at_the_same_time(tmp_path, other):
    with run_lock.hold(tmp_path, "bible", "run-2"):
        assert run_lock.holder(tmp_path, "bible") == "run-2"
    assert run_lock.holder(tmp_path, "bible") is None


def test_the_lock_of_a_killed_process_is_taken_with_a_warning(tmp_path, other, capsys):
    other.kill()
    other.wait()
    assert run_lock.holder(tmp_path, "imdb") is None
    with run_lock.hold(tmp_path, "imdb", "run-2"):
        assert f"imdb: run-1 was killed (process {other.pid})" in capsys.readouterr().err
    with run_lock.hold(tmp_path, "imdb", "run-3"):
        assert capsys.readouterr().err == ""
