"""Tests that a run that is interrupted again and again does nothing wrong, and ends as it should.

Each task runs once undisturbed, and once in a folder where it is interrupted and started again:
by SIGINT to the whole process group, as a terminal's Ctrl-C, by SIGTERM or by SIGHUP. Half of the
moments are drawn over the whole run, half in each stage in turn. A signal comes at once if its
stage ends before. After each: exit code, one line and no more, no process left, no file left in
TMPDIR, no push that was not due. At the end: the weights' hash of the undisturbed run, one pushed
version, and `tf-mamba verify`.

    python -m benchmarks.interrupts [bible] [imdb] [--preset smoke] [--moments 30]
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks import pipeline_process
from benchmarks.report import ROOT, commit, hardware, json_line, parser, significant, table

TASKS = ("bible", "imdb")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
LINE = "tf-mamba: interrupted"
_START, _END = "(start)", "(end)"  # before the first stage's line; after the last one's
_PYTHON_STARTS = 0.15  # seconds in which Python itself starts, and no program can handle a signal
_MOST_SECONDS = 10.0  # from a signal to the end of the process
_POLL_SECONDS = 0.02


class Moment(NamedTuple):
    """When to interrupt: so many seconds after the stage's beginning."""

    place: int  # of the stage in the run
    seconds: float
    number: signal.Signals


@dataclass
class Interruption:
    """What was seen of one interruption."""

    stage: str  # the one that ran
    exit: int
    seconds: float  # from the signal to the end of the process
    ended_before: bool  # the command had ended before the signal
    faults: list[str] = field(default_factory=list)


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__, TASKS)
    options.add_argument("--preset", default="smoke", help="of the runs (smoke)")
    options.add_argument("--moments", type=int, default=30, help="per task (30)")
    options.add_argument("--seed", type=int, default=1, help="of the moments (1)")
    given = options.parse_args(arguments)
    wrong = False
    for task in given.tasks:
        about = {"bench": "interrupts", "task": task, "preset": given.preset}
        command = (task, "--preset", given.preset)
        record = measure(command, given.moments, random.Random(given.seed))
        wrong |= bool(record["faults"])
        json_line(about | record | {"hardware": hardware(), "commit": commit()}, given.out)
    return int(wrong)


def measure(command: tuple[str, ...], moments: int, chance: random.Random) -> dict[str, Any]:
    """Runs in two empty folders, in one of them with `moments` interruptions; prints a table.

    Returns:
        interrupted, ended_before (numbers of moments), slowest_s, faults (all that was wrong),
        whole_sha256, interrupted_sha256.
    """
    with tempfile.TemporaryDirectory(prefix="tf-mamba-interrupts-") as name:
        whole_root, root = Path(name, "whole"), Path(name, "interrupted")
        stages, seconds = _times((*command, "--root", str(whole_root)), Path(name))
        whole = pipeline_process.run(*command, "--root", str(whole_root))  # all cached: its summary
        drawn = sorted(_draw(seconds, moments, chance))
        arguments = (*command, "--root", str(root))
        rows, seen = [], []
        for number, moment in enumerate(drawn, 1):
            found = _interrupt(arguments, root, stages, moment, Path(name, f"{number}"))
            seen.append(found)
            asked = f"{stages[moment.place]} + {moment.seconds:.2f} s"
            wrong = "; ".join(found.faults) or ("ended before" if found.ended_before else "-")
            row = (moment.number.name, asked, found.stage, found.exit, found.seconds, wrong)
            rows.append((number, *row))
            print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
        last = pipeline_process.run(*arguments)
        faults = [fault for found in seen for fault in found.faults]
        faults += _faults_at_the_end(root)
    expected, got = (each.summary["weights_sha256"] for each in (whole, last))
    if expected != got:
        faults.append("other weights than the undisturbed run's")
    columns = ("moment", "signal", "drawn", "stage", "exit", "seconds to end", "wrong")
    hit = [found for found in seen if not found.ended_before]
    table(f"{' '.join(command)}, interrupted {len(hit)} times", columns, rows)
    print(f"{len(faults)} faults{': ' + faults[-1] if faults else ', and the same weights'}\n")
    return {
        "interrupted": len(hit),
        "ended_before": len(seen) - len(hit),
        "slowest_s": max((found.seconds for found in hit), default=None),
        "faults": faults,
        "whole_sha256": expected,
        "interrupted_sha256": got,
    }


def _times(arguments: tuple[str, ...], folder: Path) -> tuple[list[str], list[float]]:
    """Runs undisturbed; returns the stages with start and end, and the seconds of each."""
    said = folder / "whole.txt"
    process = _start(arguments, said, folder)
    began = time.monotonic()
    stages: list[str] = []
    marks = [began]
    while process.poll() is None:
        time.sleep(_POLL_SECONDS)
        new = _ended_stages(said)[len(stages) :]
        stages += new
        marks += [time.monotonic()] * len(new)
    if process.returncode:
        raise pipeline_process.RunFailedError(said.read_text().splitlines()[-1])
    marks.append(time.monotonic())
    # A line tells that its stage ended, so the first stage is counted to the start.
    return [_START, *stages[1:], _END], [b - a for a, b in itertools.pairwise(marks)]


def _draw(seconds: Sequence[float], moments: int, chance: random.Random) -> Iterator[Moment]:
    numbers = list(CODES)
    for i in range(moments):
        if i % 2:
            place = i // 2 % len(seconds)
        else:
            (place,) = chance.choices(range(len(seconds)), seconds)
        after = chance.uniform(_PYTHON_STARTS if place == 0 else 0.0, seconds[place])
        yield Moment(place, after, numbers[i % len(numbers)])


def _interrupt(
    arguments: tuple[str, ...], root: Path, stages: list[str], moment: Moment, folder: Path
) -> Interruption:
    folder.mkdir()
    said = folder / "stderr.txt"
    pushed = _pushed(root)
    process = _start(arguments, said, folder)
    _wait(process, said, moment)
    before, output = process.poll() is not None, said.read_text()
    ended = len(_ended_stages(said))
    if not before:
        if moment.number == signal.SIGINT:
            os.killpg(process.pid, moment.number)  # as a terminal does
        else:
            process.send_signal(moment.number)
    sent = time.monotonic()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    found = Interruption(stages[ended], process.returncode, time.monotonic() - sent, before)
    found.seconds = significant(found.seconds, 2)
    if not before and not _ended_meanwhile(process.returncode, said, output):
        found.faults += _faults(moment.number, found, said.read_text()[len(output) :])
    if before and process.returncode:
        found.faults.append(f"exit {process.returncode} before the signal")
    if left := _processes_of(process.pid):
        found.faults.append(f"left processes: {', '.join(left)}")
    if files := sorted(path.name for path in (folder / "tmp").iterdir()):
        found.faults.append(f"left {len(files)} in TMPDIR: {files[0]}")
    due = before or "Pusher" in (stages[ended], *_ended_stages(said))
    if _pushed(root) != pushed and not due:
        found.faults.append("pushed")
    return found


def _start(arguments: tuple[str, ...], said: Path, folder: Path) -> subprocess.Popen:
    temporary = folder / "tmp"
    temporary.mkdir()
    with said.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", "run", *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )


def _wait(process: subprocess.Popen, said: Path, moment: Moment) -> None:
    """Waits for the moment, for the end of its stage, or for the end of the process."""
    while process.poll() is None and len(_ended_stages(said)) < moment.place:
        time.sleep(_POLL_SECONDS)
    until = time.monotonic() + moment.seconds
    while process.poll() is None and len(_ended_stages(said)) <= moment.place:
        rest = until - time.monotonic()
        if rest <= 0:
            return
        time.sleep(min(rest, _POLL_SECONDS))


def _ended_stages(said: Path) -> list[str]:
    """The stages that have ended, as the run's lines on standard error tell."""
    lines = said.read_text().replace("\r", "\n").split("\n")[:-1]
    words = [line.split() for line in lines if line.startswith("  ") or line.startswith("\x1b")]
    return [w[0] for w in words if w[1:] == ["cached"] or (len(w) == 3 and w[2] == "s")]


def _ended_meanwhile(exit_code: int, said: Path, output: str) -> bool:
    """Whether the command ended by itself before the signal reached it."""
    return exit_code == 0 and LINE not in said.read_text()[len(output) :]


def _faults(number: signal.Signals, found: Interruption, said: str) -> list[str]:
    faults = []
    if found.exit != CODES[number]:
        faults.append(f"exit {found.exit}")
    if found.seconds > _MOST_SECONDS:
        faults.append(f"took {found.seconds:.0f} s")
    lines = [line.strip() for line in said.replace("\r", "\n").splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("training:")]
    if lines != [LINE]:
        faults.append(f"said {' / '.join(lines)[:100]!r}")
    return faults


def _processes_of(session: int) -> list[str]:
    """Command lines of the processes that are left in a session; they are killed."""
    left = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                left.append(" ".join(process.cmdline())[:100])
                process.kill()
        except (psutil.Error, ProcessLookupError):
            continue
    return left


def _pushed(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("serving_models/*/*"))


def _faults_at_the_end(root: Path) -> list[str]:
    faults = []
    pushed = _pushed(root)
    if len(pushed) != 1 or not pushed[0].isdecimal():
        faults.append(f"pushed {', '.join(pushed) or 'nothing'}")
    command = [sys.executable, "-m", "pipeline.cli", "verify", "--root", str(root)]
    verified = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if verified.returncode:
        faults.append(f"verify: {(verified.stdout or verified.stderr).strip()[:300]}")
    return faults


if __name__ == "__main__":
    sys.exit(main())
