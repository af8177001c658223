"""Sets up `.venv`; the Makefile runs this before each target that needs it.

Chooses the first dependency set that this machine's glibc and one of its Pythons can run,
creates `.venv` with that Python, and installs requirements/<set>.txt: fully pinned, with hashes
checked and nothing resolved. A record in `.venv` is created first and completed last. So an
interrupted set-up is repeated, as is one whose lock or Python has changed. In the same way,
`--peers` sets up `.venv-peers` on `.venv`'s Python, with the libraries for comparisons in tests
and benchmarks (requirements/peers.txt).

Needs only Python; even one too old for the project prints the messages.
"""

from __future__ import annotations

import argparse
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterable, Iterator, NamedTuple

ROOT = Path(__file__).resolve().parent


class DependencySet(NamedTuple):
    name: str  # of the lock in requirements/
    title: str
    glibc: tuple[int, int]  # the oldest that all wheels support
    pythons: tuple[str, ...]  # best first


SETS = (
    DependencySet("current", "TFX 1.21, TF 2.21", (2, 39), ("3.13", "3.12", "3.11")),
    DependencySet("older", "TFX 1.16, TF 2.16", (2, 28), ("3.11", "3.10")),
)
PROBE = """
import importlib.util as u, json, os, shutil, sys, sysconfig
assert sys.implementation.name == "cpython"
installer = "ensurepip" if u.find_spec("ensurepip") else ""  # Debian may ship venv without it
if not installer and u.find_spec("pip"):
    import pip
    installer = "pip" if tuple(map(int, pip.__version__.split(".")[:2])) >= (22, 3) else ""
compiler = (os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "c++").split()[0]
header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
print(json.dumps([sys.executable, "%d.%d.%d" % sys.version_info[:3], installer,
                  bool(shutil.which(compiler) and os.path.exists(header))]))
"""


class SetUpError(Exception):
    """Set-up cannot continue; the message says why and what to do."""


class Interpreter(NamedTuple):
    path: str
    version: str  # "3.11.7"
    installer: str  # "ensurepip"; "pip", if it can install into another environment; or ""
    compiles: bool  # finds a C++ compiler and Python.h

    @property
    def minor(self) -> str:
        return self.version.rpartition(".")[0]

    def lacks(self) -> str:
        """What is missing for its use, and how to install it; empty if nothing."""
        if not self.installer:
            return f"lacks venv: apt install python{self.minor}-venv"
        if self.minor == "3.10" and not self.compiles:  # pyfarmhash has no wheel for it
            return f"lacks a C++ compiler or headers: apt install g++ python{self.minor}-dev"
        return ""


def probe(path: str) -> Interpreter | None:
    """Runs a Python to describe it; None if it does not run, such as some pyenv shims."""
    try:
        command = [path, "-I", "-c", PROBE]
        answer = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
        return Interpreter(*json.loads(answer))
    except (OSError, ValueError, TypeError, subprocess.SubprocessError):
        return None


def find_interpreters() -> Iterator[Interpreter]:
    """Yields each Python that runs, first those on PATH, then those of pyenv."""
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    directories = os.get_exec_path() + sorted(glob.glob(f"{pyenv}/versions/*/bin"), reverse=True)
    names = ("python3.13", "python3.12", "python3.11", "python3.10", "python3")
    paths = (os.path.join(directory, name) for directory in directories for name in names)
    for path in dict.fromkeys(os.path.realpath(path) for path in paths if os.path.exists(path)):
        interpreter = probe(path)
        if interpreter:
            yield interpreter


def glibc_version() -> tuple[int, int]:
    """This machine's glibc; (0, 0) without glibc, as on Alpine or macOS."""
    try:
        _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        major, minor = version.split(".")[:2]
        return int(major), int(minor)
    except (OSError, ValueError):
        return 0, 0


def choose(
    glibc: tuple[int, int], interpreters: Iterable[Interpreter]
) -> tuple[DependencySet, Interpreter]:
    """Returns the first set that fits this glibc and a Python, with the best such Python.

    Raises:
        SetUpError: if none fits; the message names what fits, what was found, and how to get one.
    """
    runnable = [s for s in SETS if glibc >= s.glibc]
    if not runnable or os.uname().machine != "x86_64":
        raise SetUpError(
            "the libraries have wheels only for Linux on x86_64 with glibc 2.28 or newer, but this "
            f"is {os.uname().sysname} on {os.uname().machine} with glibc {glibc[0]}.{glibc[1]}"
        )
    found = list(dict.fromkeys(interpreters))
    for dependencies in runnable:
        for minor in dependencies.pythons:
            for interpreter in found:
                if interpreter.minor == minor and not interpreter.lacks():
                    return dependencies, interpreter
    fitting = sorted({minor for s in runnable for minor in s.pythons}, key=lambda m: int(m[2:]))
    seen = [f"{i.version} at {i.path} {i.lacks() or 'does not fit'}" for i in found]
    raise SetUpError(
        f"no fitting Python: with glibc {glibc[0]}.{glibc[1]} it takes {' or '.join(fitting)}.\n  "
        + "\n  ".join(seen or ["None was found"])
        + "\nTo get one: apt install python3 python3-venv (Debian 12 or 13), or "
        f"pyenv install {runnable[0].pythons[0]}; or name one: make PYTHON=/path/to/python"
    )


def run(purpose: str, *command: str) -> None:
    if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:
        raise SetUpError(f"could not {purpose}: fix the error above, then run make again")


def make_environment(interpreter: Interpreter, venv: Path) -> list[str]:
    """Creates `venv`; returns the pip command that installs into it."""
    python = str(venv / "bin" / "python")
    if interpreter.installer == "ensurepip":
        run(f"make {venv}", interpreter.path, "-m", "venv", str(venv))
        pip = [python, "-m", "pip"]
    else:
        run(f"make {venv}", interpreter.path, "-m", "venv", "--without-pip", str(venv))
        pip = [interpreter.path, "-m", "pip", "--python", python]
    return [*pip, "install", "-qq", "--disable-pip-version-check", "--no-input", "--no-compile"]


def compile_all(venv: Path) -> None:
    """Compiles all modules, on all cores; pip uses one. Otherwise the first start would take 15
    seconds longer, and with PYTHONDONTWRITEBYTECODE each start.
    """
    python, library = venv / "bin" / "python", venv / "lib"
    command = (str(python), "-m", "compileall", "-qq", "-j", "0", str(library))
    nothing = subprocess.DEVNULL  # ignores errors in files that are not Python 3
    subprocess.run(command, stdin=nothing, stdout=nothing, stderr=nothing, check=False)


def install(interpreter: Interpreter, lock: Path, venv: Path) -> None:
    """Creates `venv` and installs the packages of `lock`, and this project as editable."""
    # Without isolation, packages without a wheel are built by the lock's setuptools and wheel,
    # not by the newest.
    pip = [*make_environment(interpreter, venv), "--no-deps", "--no-build-isolation"]
    pinned = [*pip, "--require-hashes", "--ignore-requires-python", "--use-pep517", "--requirement"]
    lines = lock.read_text().replace("\\\n", "").splitlines()
    build_tools = venv / "build-tools.txt"
    build_tools.write_text("\n".join(s for s in lines if s.startswith(("setuptools=", "wheel="))))
    run("install the build tools", *pinned, str(build_tools))
    run(f"install {lock}", *pinned, str(lock))
    run("install this project", *pip, "--editable", str(ROOT))
    compile_all(venv)


def install_peers(interpreter: Interpreter, requirements: Path, venv: Path) -> None:
    """Creates `venv` and installs `requirements`, with what a CUDA build of PyTorch needs."""
    pip = make_environment(interpreter, venv)
    run(f"install {requirements}", *pip, "--requirement", str(requirements))
    compile_all(venv)


def recorded(venv: Path) -> dict[str, str]:
    """The record of a finished set-up of `venv`; empty if none has finished."""
    record = venv / "set-up.json"
    return json.loads(record.read_text() or "{}") if record.exists() else {}


def make(
    venv: Path, lock: Path, fill: Callable[[], None], state: Callable[[], dict[str, str]]
) -> None:
    """Creates `venv` anew by `fill`, then records its `state`."""
    record = venv / "set-up.json"
    if record.exists():
        print("set-up: starting again (interrupted, or the lock or Python changed)", flush=True)
        shutil.rmtree(venv)
    elif venv.exists():
        kept = venv.rename(f"{venv}.before-{int(time.time())}")
        print(f"set-up: {venv} was not created by this set-up; kept as {kept}", flush=True)
    print(f"set-up: installing {lock.relative_to(ROOT)}, 1 to 3 minutes", flush=True)
    started = time.monotonic()
    venv.mkdir()
    record.touch()
    fill()
    partial = venv / "set-up.partial"
    partial.write_text(json.dumps(state()))
    partial.replace(record)
    print(f"set-up: done in {time.monotonic() - started:.0f} s", flush=True)


def set_up(venv: Path, python: str | None = None) -> None:
    """Sets up `venv` if needed, and prints its dependency set.

    Raises:
        SetUpError: if `python` or, by default, every Python found does not fit, or a step fails.
    """
    chosen = probe(shutil.which(python) or python) if python else None
    if python and not chosen:
        raise SetUpError(f"PYTHON={python} is not a Python that runs")
    state = recorded(venv)
    if (
        state
        and state == description(venv, state["set"], state["choice"])
        and (not chosen or os.path.realpath(chosen.path) == state["python"])
    ):
        return print(state["choice"], flush=True)

    glibc = glibc_version()
    dependencies, interpreter = choose(glibc, [chosen] if chosen else find_interpreters())
    choice = (
        f"dependency set: {dependencies.name} ({dependencies.title}) "
        f"on Python {interpreter.version}, glibc {glibc[0]}.{glibc[1]}"
    )
    print(choice, flush=True)
    lock = ROOT / "requirements" / f"{dependencies.name}.txt"
    make(
        venv,
        lock,
        lambda: install(interpreter, lock, venv),
        lambda: description(venv, dependencies.name, choice),
    )


def description(venv: Path, name: str, choice: str) -> dict[str, str]:
    """The state of `venv`; a change of it requires a new set-up."""
    inputs = (ROOT / "requirements" / f"{name}.txt", ROOT / "setup.py")
    return {
        "choice": choice,
        "set": name,
        "python": os.path.realpath(venv / "bin" / "python"),
        "inputs": hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest(),
    }


def set_up_peers(venv: Path, peers: Path) -> None:
    """Sets up `peers` if needed, on the Python of `venv`.

    Raises:
        SetUpError: if `venv` has no Python, or a step fails.
    """
    lock = ROOT / "requirements" / "peers.txt"
    python = os.path.realpath(venv / "bin" / "python")

    def state(python: str) -> dict[str, str]:
        return {"python": python, "inputs": hashlib.sha256(lock.read_bytes()).hexdigest()}

    present = os.path.realpath(peers / "bin" / "python")
    if present == python and recorded(peers) == state(python):
        return print(f"peers: ready in {peers.name}", flush=True)
    interpreter = probe(python)
    if not interpreter:
        raise SetUpError(f"{venv} has no Python that runs: run make env first")
    make(peers, lock, lambda: install_peers(interpreter, lock, peers), lambda: state(python))


def main() -> int:
    parser = argparse.ArgumentParser(description="Set up .venv for this machine.")
    parser.add_argument("--peers", action="store_true", help="set up .venv-peers instead")
    parser.add_argument("--python", help="the Python to use (default: the best one found)")
    arguments = parser.parse_args()
    try:
        with open(__file__) as this_file:
            fcntl.flock(this_file, fcntl.LOCK_EX)  # a second make waits for the first
            if arguments.peers:
                set_up_peers(ROOT / ".venv", ROOT / ".venv-peers")
            else:
                set_up(ROOT / ".venv", arguments.python)
    except SetUpError as error:
        print(f"set-up: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: interrupted; the next make repeats it", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
