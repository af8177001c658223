"""The versions of a model: serves the newest, and replaces it when a newer one appears.

This is TensorFlow Serving's file-system source with the policies "latest" and "availability
preserving": it polls the folder, skips names that are not numbers, and unloads a version only when
its successor is ready. Unlike TensorFlow Serving, if a version fails to load, it serves the newest
one that loads, and retries the failed one when its files change.
"""

from __future__ import annotations

import gc
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from serving.errors import ServingError, of_tensorflow
from serving.served_model import ServedModel

_log = logging.getLogger(__name__)
_DIGITS = re.compile(r"[0-9]{1,18}")  # fits TensorFlow Serving's int64

# State, gRPC error code and message of a version, as ModelService reports them.
Status = tuple[str, int, str]


class ModelVersions:
    """A folder of versions, one of which is served at a time.

    Args:
        folder: named as the model; contains a folder for each version, named by its number.
        load: loads a version and warms it up, or raises.
        poll_seconds: interval between looks at the folder.
    """

    def __init__(
        self, folder: Path, load: Callable[[Path], ServedModel], poll_seconds: float = 1.0
    ) -> None:
        self.folder = folder
        self.name = folder.name
        self._load = load
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()  # for the attributes below
        self._current: ServedModel | None = None
        self._leases: Counter[ServedModel] = Counter()
        self._retired: list[ServedModel] = []
        self._status: dict[int, Status] = {}
        self._failed: dict[int, tuple[float, ...]] = {}  # their file times and sizes
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="model versions", daemon=True)

    def start(self) -> ServedModel:
        """Loads the newest version that loads, and starts to watch the folder.

        Raises:
            ServingError: NOT_FOUND if there is no version; the newest one's error if none loads.
        """
        self.poll()
        if self._current is None:
            if not self._status:
                raise ServingError(
                    grpc.StatusCode.NOT_FOUND,
                    f"{self.folder}: expected folders of versions, named by numbers, found none",
                )
            newest = max(self._status)
            _, number, message = self._status[newest]
            code = next(code for code in grpc.StatusCode if code.value[0] == number)
            raise ServingError(code, f"{self.folder / str(newest)}: {message}")
        self._thread.start()
        return self._current

    def stop(self) -> None:
        """Stops watching, after a load that is in progress."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def lease(self, version: int | None = None) -> Iterator[ServedModel]:
        """The served version; it stays loaded until the lease ends.

        Raises:
            ServingError: NOT_FOUND if `version` is given and not the one served.
        """
        with self._lock:
            model = self._current
            if model is None or version not in (None, model.version):
                raise ServingError(
                    grpc.StatusCode.NOT_FOUND,
                    f"Servable not found for request: Specific({self.name}, {version})",
                )
            self._leases[model] += 1
        try:
            yield model
        finally:
            with self._lock:
                self._leases[model] -= 1

    def status(self) -> dict[int, Status]:
        """Status of every version seen so far, by number."""
        with self._lock:
            return dict(self._status)

    @property
    def version(self) -> int | None:
        """The version that is served."""
        with self._lock:
            return None if self._current is None else self._current.version

    def _watch(self) -> None:
        while not self._stopped.wait(self._poll_seconds):
            try:
                self.poll()
            except OSError:
                _log.exception("%s: cannot be read; the loaded version stays", self.folder)

    def poll(self) -> None:
        """Looks at the folder once: unloads old versions without leases, loads a newer version."""
        self._unload_unused()
        for version in self._versions_on_disk():  # newest first
            if self._current is not None and version == self._current.version:
                return
            times = self._file_times(version)
            if self._failed.get(version) == times:
                continue
            if self._try_to_load(version):
                return
            self._failed[version] = times

    def _versions_on_disk(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        names = [entry.name for entry in self.folder.iterdir() if entry.is_dir()]
        numbers = {int(name) for name in names if _DIGITS.fullmatch(name)}
        return sorted((n for n in numbers if (self.folder / str(n)).is_dir()), reverse=True)

    def _file_times(self, version: int) -> tuple[float, ...]:
        files = sorted(path for path in (self.folder / str(version)).rglob("*"))
        return tuple(value for path in files for value in _time_and_size(path))

    def _try_to_load(self, version: int) -> bool:
        self._set_status(version, "LOADING", grpc.StatusCode.OK, "")
        started = time.perf_counter()
        try:
            model = self._load(self.folder / str(version))
        except Exception as error:  # TensorFlow raises many kinds for a broken folder
            known = error if isinstance(error, ServingError) else of_tensorflow(error)
            message = " ".join(str(known).split())
            self._set_status(version, "END", known.code, message)
            _log.error("%s/%d: not served: %s", self.folder, version, message)
            return False
        with self._lock:
            before, self._current = self._current, model
            self._status[version] = ("AVAILABLE", 0, "")
            if before is not None:
                self._status[before.version] = ("UNLOADING", 0, "")
                self._retired.append(before)
        seconds = time.perf_counter() - started
        _log.info("%s/%d: loaded in %.2f s", self.folder, version, seconds)
        del before
        self._unload_unused()
        return True

    def _unload_unused(self) -> None:
        with self._lock:
            unused = [model for model in self._retired if not self._leases[model]]
            for model in unused:
                self._retired.remove(model)
                del self._leases[model]
                self._status[model.version] = ("END", 0, "")
        if unused:
            del unused, model
            gc.collect()  # a graph's objects have circular references

    def _set_status(self, version: int, state: str, code: grpc.StatusCode, message: str) -> None:
        with self._lock:
            self._status[version] = (state, code.value[0], message)


def _time_and_size(path: Path) -> tuple[float, float]:
    try:
        stat = path.stat()
    except OSError:  # deleted since it was listed
        return (0.0, 0.0)
    return (stat.st_mtime, stat.st_size)
