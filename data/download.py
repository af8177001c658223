"""Downloads a corpus from its official address.

    python -m data.download TASK --folder downloads
    tf-mamba run TASK --source downloads/FILE

A download is written to `<name>.part`. Only a verified file gets its final name. A file that never
changes is verified by a pinned SHA-256; if its download is interrupted, it resumes when the command
is run again. Other files, such as Project Gutenberg's, are verified by their content.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from data import checks, facts, readers, task_files
from data.errors import DataError
from data.records import DeadLetter, Record, file_sha256
from data.task_files import Address, TaskFile

SECONDS_WITHOUT_AN_ANSWER = 60


def download(task: str, folder: str | Path) -> Path:
    """Downloads the corpus of a task, unless the file exists already, and verifies it.

    Args:
        task: the name of a built-in task.
        folder: where the file goes; created if needed.

    Returns:
        The verified file.

    Raises:
        DataError: if the task has no address, the address cannot be reached, the download is
            interrupted (call again to resume), or the file fails verification (a new download
            is then removed, an existing file is kept).
    """
    of_task = task_files.find(task)
    address = of_task.download
    if address is None:
        raise DataError(f"{of_task.file}: has no [download], so there is nothing to download.")
    file = Path(folder) / address.name
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        try:
            _verify(of_task, address, file)
        except DataError as error:
            raise DataError(f"{error} Remove it, or name another folder.") from error
        return file
    part = file.with_name(file.name + ".part")
    try:
        _fetch(address, part)
    except HTTPError as error:
        raise DataError(
            f"{address.url}: the server answered {error.code} {error.reason}. Try again later, "
            f"or put the file at {file} yourself."
        ) from error
    except (HTTPException, OSError) as error:
        got = part.stat().st_size if part.exists() else 0
        reason = error.reason if isinstance(error, URLError) else error
        raise DataError(
            f"{address.url}: the download stopped after {got:,} bytes ({reason}). Run the same "
            f"command again with a connection, or put the file at {file} yourself."
        ) from error
    try:
        _verify(of_task, address, part)
    except DataError as error:
        part.unlink()
        raise DataError(
            f"{error} It was removed. Run the same command again, or put the right file at "
            f"{file} yourself."
        ) from error
    part.replace(file)
    return file


def _fetch(address: Address, part: Path) -> None:
    """Downloads to `part`, appending to what it holds; OSError if the download is incomplete."""
    # Only a file that never changes can be resumed.
    start = part.stat().st_size if address.sha256 and part.exists() else 0
    request = Request(address.url, headers={"User-Agent": "tf-mamba"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with urlopen(request, timeout=SECONDS_WITHOUT_AN_ANSWER) as response:
            if response.status != 206:  # the server sends the whole file
                start = 0
            with part.open("ab" if start else "wb") as stream:
                _copy(response, stream, address.name, start)
    except HTTPError as error:
        if error.code != 416:  # no bytes left: the part is complete, or wrong
            raise


def _copy(response, stream: IO[bytes], name: str, start: int) -> None:
    from tqdm import tqdm

    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    with tqdm.wrapattr(stream, "write", desc=name, initial=start, total=total) as file:
        shutil.copyfileobj(response, file)
    if total is not None and stream.tell() < total:
        raise ConnectionError(f"{total - stream.tell():,} bytes are missing")


def _verify(task: TaskFile, address: Address, file: Path) -> None:
    """Raises DataError if `file` is not the expected one."""
    if address.sha256 and (got := file_sha256(file)) != address.sha256:
        raise DataError(f"{file}: expected SHA-256 {address.sha256} of {address.url}, got {got}.")
    if not address.sha256:
        _check_content(task, file)


def _check_content(task: TaskFile, file: Path) -> None:
    """Raises DataError unless `file` holds the whole corpus, by the task's checks."""
    reader = readers.load(task.reading.reader)
    source = reader.open_source(str(file), task.reading)
    read = [
        item
        for shard in source.shards
        for item in reader.read_shard(source, shard, task.task, task.reading, sys.maxsize)
    ]
    records = [item for item in read if isinstance(item, Record)]
    ledger = {"facts": facts.split_facts(records, checks.markers(task.checks))}
    found = [
        *readers.findings(task.reading.reader, source, ledger),
        *checks.findings(task.task.classes, task.checks, ledger),
    ]
    found += [
        f"line {item.line}: {item.reason}: {item.excerpt[:60]}"
        for item in read
        if isinstance(item, DeadLetter)
    ]
    if found:
        more = f" (and {len(found) - 1} more findings)" if len(found) > 1 else ""
        raise DataError(f"{file}: not the whole corpus: {found[0]}{more}")


def main(arguments: list[str] | None = None) -> None:
    """Downloads a corpus and prints its path."""
    parser = argparse.ArgumentParser(prog="python -m data.download", description=main.__doc__)
    parser.add_argument("task", choices=sorted(task_files.built_in_tasks()))
    parser.add_argument("--folder", default="downloads")
    options = parser.parse_args(arguments)
    try:
        print(download(options.task, options.folder))
    except DataError as error:
        sys.exit(f"data.download: {error}")


if __name__ == "__main__":
    main()
