"""A signal ends a command with one line, whatever the main thread or a library does with it."""

import os
import signal
import subprocess
import sys
import time

import pytest

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

WAITS = "time.sleep(60)"
SWALLOWS = """
class Library:
    def __del__(self):
        print("begun", flush=True)
        time.sleep(60)  # Python prints what is raised here, and goes on
for _ in range(9):
    Library()
"""
CALLS_C = "hashlib.pbkdf2_hmac('sha256', b'a', b'b', 10**9)"
MAKES_FILES = """
import os, tempfile
tempfile.mkstemp()
open(os.environ["TMPDIR"] + "/a", "w").close()
print("made", flush=True)
"""
STARTS_A_CHILD = """
child = subprocess.Popen(["sleep", "600"])
print(child.pid, flush=True)
time.sleep(60)
"""
CLEANS_UP = """
try:
    time.sleep(60)
finally:
    open("cleaned", "w").close()
"""
STARTS_PYTHON = """
with interrupts.kept_from_children():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def start(folder, work, env=(), **options):
    program = (
        "import hashlib, subprocess, sys, time\nfrom pipeline import interrupts\n"
        "with interrupts.handled():\n    print('begun', flush=True)\n"
        + "".join(f"    {line}\n" for line in work.strip().splitlines())
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program + "\nprint('went on')"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("work", [WAITS, SWALLOWS, CALLS_C], ids=["waits", "swallows", "in C"])
def test_it_ends_within_seconds_with_one_line(tmp_path, work, number):
    process = start(tmp_path, work)
    time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == CODES[number]
    assert err.strip() == "tf-mamba: interrupted"  # after a carriage return
    assert "went on" not in out


def test_the_main_thread_cleans_up_first(tmp_path):
    process = start(tmp_path, CLEANS_UP)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize("work", [WAITS, SWALLOWS], ids=["main thread", "listening thread"])
def test_no_temporary_file_is_left(tmp_path, work):
    process = start(tmp_path, MAKES_FILES + work, env={"TMPDIR": str(tmp_path)})
    assert process.stdout.readline() == "made\n"
    assert [len(list(folder.iterdir())) for folder in tmp_path.iterdir()] == [2]
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert not list(tmp_path.iterdir())


def _ends(pid):
    """Whether a process that was killed has ended within seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(") ")[2][0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_children_end_too(tmp_path):
    process = start(tmp_path, STARTS_A_CHILD)
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert _ends(child)


def test_a_terminals_ctrl_c_makes_no_child_print(tmp_path):
    process = start(tmp_path, STARTS_PYTHON, start_new_session=True)
    child = int(process.stdout.readline())
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() == "tf-mamba: interrupted"  # after a carriage return
    assert _ends(child)


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    process = start(
        tmp_path,
        "time.sleep(1)",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # as nohup does
    )
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "went on\n", "")


def test_without_a_signal_everything_is_as_before(tmp_path):
    handlers = [signal.getsignal(number) for number in CODES]
    from pipeline import interrupts

    with interrupts.handled():
        interrupts.check()
        assert [signal.getsignal(number) for number in CODES] != handlers
    assert [signal.getsignal(number) for number in CODES] == handlers
