"""Downloads a corpus from its official address.

    python -m data.download imdb --folder downloads
    tf-mamba run imdb --source downloads/aclImdb_v1.tar.gz

A download is written to `<name>.part`; an interrupted download of the reviews resumes when
the command is run again. Only a verified file gets its final name. The reviews, which never
change, are verified by a pinned SHA-256. Project Gutenberg changes the headers of its files
from time to time, so the Bible is verified by its content.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from data import facts
from data.bible import reader as bible
from data.errors import DataError
from data.records import DeadLetter, Record, file_sha256

SECONDS_WITHOUT_AN_ANSWER = 60


@dataclass(frozen=True)
class Address:
    """The address of a corpus, and how its file is verified.

    Attributes:
        url: official address.
        name: of the file.
        sha256: expected hash of the file; "" if `check` verifies it instead.
        check: raises DataError if the file is not the expected one.
    """

    url: str
    name: str
    sha256: str = ""
    check: Callable[[Path], None] | None = None


def check_bible(file: Path) -> None:
    """Raises DataError unless `file` parses as the whole King James text."""
    source = bible.open_source(str(file))
    read = list(bible.read_shard(source, bible.ONE_SHARD, sys.maxsize))
    dead = [item for item in read if isinstance(item, DeadLetter)]
    records = [item for item in read if isinstance(item, Record)]
    findings = bible.check_corpus(source, {"facts": facts.split_facts(records, bible.MARKERS)})
    findings += [f"line {letter.line}: {letter.reason}: {letter.excerpt[:60]}" for letter in dead]
    if findings:
        more = f" (and {len(findings) - 1} more findings)" if len(findings) > 1 else ""
        raise DataError(f"{file}: not the whole King James text: {findings[0]}{more}")


ADDRESSES = {
    # Hash and size (84,125,825 bytes) as TensorFlow Datasets pins them, in
    # url_checksums/imdb_reviews.txt.
    "imdb": Address(
        url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
        name="aclImdb_v1.tar.gz",
        sha256="c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
    ),
    "bible": Address(
        url="https://www.gutenberg.org/cache/epub/10/pg10.txt",
        name="pg10.txt",
        check=check_bible,
    ),
}


def download(task: str, folder: str | Path) -> Path:
    """Downloads the corpus of a task, unless the file exists already, and verifies it.

    Args:
        task: "imdb" or "bible".
        folder: where the file goes; created if needed.

    Returns:
        The verified file.

    Raises:
        DataError: if the task has no address, the address cannot be reached, the download is
            interrupted (call again to resume), or the file fails verification (a new download
            is then removed, an existing file is kept).
    """
    if task not in ADDRESSES:
        raise DataError(f"download: expected one of {sorted(ADDRESSES)}, got {task!r}.")
    address = ADDRESSES[task]
    file = Path(folder) / address.name
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        try:
            _verify(address, file)
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
        _verify(address, part)
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


def _verify(address: Address, file: Path) -> None:
    """Raises DataError if `file` is not the expected one."""
    if address.sha256 and (got := file_sha256(file)) != address.sha256:
        raise DataError(f"{file}: expected SHA-256 {address.sha256} of {address.url}, got {got}.")
    if address.check:
        address.check(file)


def main(arguments: list[str] | None = None) -> None:
    """Downloads a corpus and prints its path."""
    parser = argparse.ArgumentParser(prog="python -m data.download", description=main.__doc__)
    parser.add_argument("task", choices=sorted(ADDRESSES))
    parser.add_argument("--folder", default="downloads")
    options = parser.parse_args(arguments)
    try:
        print(download(options.task, options.folder))
    except DataError as error:
        sys.exit(f"data.download: {error}")


if __name__ == "__main__":
    main()
