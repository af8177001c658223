"""The choice of a dependency set, and when `.venv` is created again.

The tests skip only the downloads, which `.ci/run` does.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import setup_env
from setup_env import (
    Interpreter,
    SetUpError,
    choose,
    find_interpreters,
    probe,
    set_up,
    set_up_peers,
)

DEBIAN_12, DEBIAN_13, CENTOS_7 = (2, 36), (2, 41), (2, 17)
PYTHON = os.path.realpath(sys.executable)  # the base of .venv, which may have no pip itself


def interpreter(version, installer="ensurepip", compiles=True):
    return Interpreter(f"/usr/bin/python{version}", version, installer, compiles)


@pytest.mark.parametrize(
    ("glibc", "versions", "expected"),
    [
        (DEBIAN_12, ["3.11.2"], ("older", "3.11.2")),
        (DEBIAN_12, ["3.10.13"], ("older", "3.10.13")),
        (DEBIAN_12, ["3.10.13", "3.13.0", "3.11.7", "3.9.18"], ("older", "3.11.7")),
        (DEBIAN_13, ["3.13.5"], ("current", "3.13.5")),
        (DEBIAN_13, ["3.11.7", "3.12.1"], ("current", "3.12.1")),
        (DEBIAN_13, ["3.10.13"], ("older", "3.10.13")),
        ((2, 39), ["3.11.7"], ("current", "3.11.7")),
        ((2, 38), ["3.11.7"], ("older", "3.11.7")),
    ],
)
def test_the_newest_set_that_glibc_and_a_python_allow_is_chosen(glibc, versions, expected):
    dependencies, chosen = choose(glibc, map(interpreter, versions))
    assert (dependencies.name, chosen.version) == expected


def test_no_fitting_python_says_which_fits_and_how_to_get_one():
    with pytest.raises(SetUpError) as error:
        choose(DEBIAN_12, [interpreter("3.13.0"), interpreter("3.9.18")])
    message = str(error.value)
    assert "glibc 2.36 it takes 3.10 or 3.11" in message
    assert "3.13.0 at /usr/bin/python3.13.0 does not fit" in message
    assert "apt install python3 python3-venv" in message and "pyenv install 3.11" in message
    assert "make PYTHON=/path/to/python" in message


def test_a_glibc_too_old_for_every_wheel_is_named():
    with pytest.raises(SetUpError, match=r"glibc 2\.28 or newer.*with glibc 2\.17"):
        choose(CENTOS_7, [interpreter("3.11.2")])


def test_a_python_without_venv_or_pip_is_skipped():
    bare = interpreter("3.11.2", installer="")
    assert choose(DEBIAN_12, [bare, interpreter("3.10.13")])[1].version == "3.10.13"
    with pytest.raises(SetUpError, match=r"apt install python3\.11-venv"):
        choose(DEBIAN_12, [bare])


def test_only_python_3_10_needs_a_compiler():
    assert choose(DEBIAN_12, [interpreter("3.11.2", compiles=False)])[0].name == "older"
    with pytest.raises(SetUpError, match=r"apt install g\+\+ python3\.10-dev"):
        choose(DEBIAN_12, [interpreter("3.10.13", compiles=False)])


def test_a_python_describes_itself():
    found = probe(sys.executable)
    assert found is not None
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert os.path.samefile(found.path, sys.executable)


def test_a_shim_that_fails_is_skipped_for_the_real_python_under_pyenv(tmp_path, monkeypatch):
    shim = tmp_path / "shims" / "python3.11"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.11: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    real = tmp_path / "versions" / "3.11.7" / "bin" / "python3.11"
    real.parent.mkdir(parents=True)
    real.symlink_to(os.path.realpath(sys.executable))
    monkeypatch.setenv("PATH", str(shim.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    (found,) = find_interpreters()
    assert os.path.samefile(found.path, sys.executable)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A root whose set-up creates a real `.venv` but installs nothing."""
    (tmp_path / "requirements").mkdir()
    for name in ("older", "current", "peers"):
        lock = Path(setup_env.ROOT, "requirements", f"{name}.txt")
        (tmp_path / "requirements" / lock.name).write_bytes(lock.read_bytes())
    (tmp_path / "setup.py").write_text("")
    monkeypatch.setattr(setup_env, "ROOT", tmp_path)

    def without_downloads(purpose, *command):
        if "venv" in command:
            subprocess.run([*command, "--without-pip"], check=True)

    monkeypatch.setattr(setup_env, "run", without_downloads)
    return tmp_path


def test_a_finished_set_up_is_not_repeated(project, capsys):
    venv = project / ".venv"
    set_up(venv)  # with the machine's best Python
    assert subprocess.run([venv / "bin" / "python", "-c", ""]).returncode == 0
    made = (venv / "set-up.json").stat()
    first = capsys.readouterr().out.splitlines()
    set_up(venv)
    assert (venv / "set-up.json").stat().st_mtime_ns == made.st_mtime_ns
    assert capsys.readouterr().out.splitlines() == first[:1]
    assert first[0].startswith("dependency set: ") and "glibc" in first[0]


def test_the_build_tools_come_first_and_from_the_lock(project):
    set_up(project / ".venv", PYTHON)
    pinned = (project / ".venv" / "build-tools.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in pinned] == ["setuptools", "wheel"]
    assert all("--hash=sha256:" in line for line in pinned)


def test_an_interrupted_set_up_is_repeated(project, monkeypatch, capsys):
    def interrupted(purpose, *command):
        if purpose.endswith(".txt"):
            (project / ".venv" / "half-installed").touch()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(setup_env, "run", interrupted)
        set_up(project / ".venv", PYTHON)
    assert (project / ".venv" / "half-installed").exists()
    set_up(project / ".venv", PYTHON)
    assert "starting again (interrupted" in capsys.readouterr().out
    assert not (project / ".venv" / "half-installed").exists()
    assert json.loads((project / ".venv" / "set-up.json").read_text())["set"]


@pytest.mark.parametrize("changed", ["the lock", "setup.py", "Python"])
def test_a_changed_input_repeats_the_set_up(project, capsys, changed):
    venv = project / ".venv"
    set_up(venv, PYTHON)
    if changed == "the lock":
        for lock in (project / "requirements").iterdir():
            lock.write_text(lock.read_text() + "\n")
    elif changed == "setup.py":
        (project / "setup.py").write_text("# another range\n")
    else:  # as after a system upgrade that removed the old Python
        (venv / "bin" / "python").unlink()
    set_up(venv, PYTHON)
    assert "starting again" in capsys.readouterr().out
    assert (venv / "bin" / "python").exists()


def test_a_venv_of_the_users_own_is_kept(project, capsys):
    (project / ".venv").mkdir()
    (project / ".venv" / "mine").touch()
    set_up(project / ".venv", PYTHON)
    (kept,) = project.glob(".venv.before-*")
    assert (kept / "mine").exists()
    assert f"kept as {kept}" in capsys.readouterr().out


def test_the_peers_are_set_up_once_on_the_same_python(project, capsys):
    venv, peers = project / ".venv", project / ".venv-peers"
    with pytest.raises(SetUpError, match="has no Python that runs: run make env first"):
        set_up_peers(venv, peers)
    set_up(venv, PYTHON)
    set_up_peers(venv, peers)
    assert os.path.realpath(peers / "bin" / "python") == PYTHON
    made = (peers / "set-up.json").stat().st_mtime_ns
    capsys.readouterr()
    set_up_peers(venv, peers)
    assert capsys.readouterr().out == "peers: ready in .venv-peers\n"
    assert (peers / "set-up.json").stat().st_mtime_ns == made
    pins = project / "requirements" / "peers.txt"
    pins.write_text(pins.read_text() + "\n")
    set_up_peers(venv, peers)
    assert "starting again" in capsys.readouterr().out


def test_a_given_python_that_does_not_run_is_named():
    command = [sys.executable, setup_env.__file__, "--python", "/nowhere/python3.11"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 1
    assert answer.stderr == "set-up: PYTHON=/nowhere/python3.11 is not a Python that runs.\n"
