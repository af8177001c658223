"""Ends a command that is interrupted at once: one line, no traceback, nothing after it.

Python delivers a signal to the main thread, between two of its instructions. So a long call into
C++ delays it, and where it arrives in a callback or a destructor, Python prints the exception and
goes on. Therefore a thread listens too: it ends the process if the main thread has not done so.
That is safe, because whatever a command leaves is written under another name and then renamed,
and TFX publishes an output after its stage has ended.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

EXIT_CODES = {number: 128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
_GRACE = 2.0  # seconds in which the main thread may remove its temporary files
_lock = threading.Lock()
_received: list[int] = []
_raised: list[int] = []  # those that the main thread got
_temporary: list[str] = []  # this process' folder of temporary files
_stderr = [2]  # the terminal's, although libraries' output may be hidden when a signal arrives


class Interrupted(BaseException):
    """Raised in the main thread when a signal asks the process to end."""


@contextmanager
def handled() -> Iterator[None]:
    """Ends the process if SIGINT, SIGTERM or SIGHUP arrives inside the block.

    Temporary files lie in a folder of the block, which is removed however the block ends.
    The exit code is 130, 143 or 129. Signals that the process ignores, as under nohup, stay
    ignored. Does nothing outside the main thread.
    """
    asked = [each for each in EXIT_CODES if signal.getsignal(each) != signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread():
        asked = []
    _stderr[0] = os.dup(2)
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = {number: signal.signal(number, _interrupt) for number in asked}
    wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False) if asked else -1
    threading.Thread(target=_listen, args=(read,), name="interrupts", daemon=True).start()
    os.register_at_fork(after_in_child=_leave_to_the_parent)
    try:
        with _temporary_folder():
            yield
    except Interrupted:
        pass  # ends below
    finally:
        if _received:
            _end(_received[0])
        if asked:
            signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(write)  # ends the thread
        os.close(_stderr[0])


def check() -> None:
    """Raises Interrupted if a signal has arrived, even if a library has swallowed the first one."""
    if _received:
        raise Interrupted


def replace_process(command: list[str]) -> NoReturn:
    """Runs another program in this process, as os.execvp."""
    _remove_temporary_files()
    for folder in _temporary:
        os.environ["TMPDIR"] = os.path.dirname(folder)
    os.execvp(command[0], command)


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Processes started inside the block do not get a terminal's Ctrl-C; their parent ends them."""
    keys = (signal.SIGINT, signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, keys)  # a new process inherits the mask
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _temporary_folder() -> Iterator[None]:
    """Where libraries put their temporary files, which they leave when they are interrupted."""
    try:
        folder = tempfile.mkdtemp(prefix="tf-mamba-")
    except OSError:  # then whatever needs a temporary file says so
        yield
        return
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = tempfile.tempdir = folder  # child processes' too
    _temporary.append(folder)
    try:
        yield
    finally:
        _remove_temporary_files()
        if not _received:
            _temporary.clear()
        tempfile.tempdir = before
        os.environ.pop("TMPDIR")
        if variable is not None:
            os.environ["TMPDIR"] = variable


def _remove_temporary_files() -> None:
    for folder in _temporary:
        shutil.rmtree(folder, ignore_errors=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _tell(number)  # the thread may have told it already
    _raised.append(number)
    if len(_raised) > 1:
        _end(number)
    raise Interrupted


def _listen(read: int) -> None:
    while numbers := os.read(read, 1):
        if numbers[0] in EXIT_CODES:
            _tell(numbers[0])
            _kill_children()  # at once: they print errors when they lose this process
            time.sleep(_GRACE)
            _end(numbers[0])
    os.close(read)


def _tell(number: int) -> None:
    """Prints the one line, the first time, and hides what libraries print from now on."""
    with _lock:
        if _received:
            return
        _received.append(number)
    begin = "\r\033[K" if sys.stderr.isatty() else "\r"  # a progress bar may be there
    os.write(_stderr[0], f"{begin}tf-mamba: interrupted\n".encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _kill_children() -> None:
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()


def _end(number: int) -> None:
    _kill_children()
    _remove_temporary_files()  # again, as the children may have made some
    os._exit(EXIT_CODES[signal.Signals(number)])


def _leave_to_the_parent() -> None:
    """In a forked process, which has no thread that listens."""
    signal.set_wakeup_fd(-1)
    for number in EXIT_CODES:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)
