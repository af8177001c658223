"""The connection to ML Metadata: a SQLite file in the runs folder, or a MySQL or MariaDB server.

A connection string is one of

    mysql://USER@HOST[:PORT]/DATABASE
    sqlite:///PATH

An empty string means runs/metadata.sqlite. A server's password comes from the environment
variable TF_MAMBA_METADATA_PASSWORD and never appears in logs.

ML Metadata's PostgreSQL backend is refused. With ML Metadata 1.16 on PostgreSQL 15, strings with
a backslash, such as JSON in JSON, break its SQL, and strings above 8 kB break its index. It also
returns rows in storage order, while TFX's cache relies on the order of the requested ids: two
outputs of a stage were swapped.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from data.errors import UserError

if TYPE_CHECKING:
    from pipeline.places import Places

PASSWORD = "TF_MAMBA_METADATA_PASSWORD"  # environment variable
_PORT = 3306
# Retries of a call while another run holds the database's lock, 2 s apart on average. Four
# concurrent writers nearly use up ML Metadata's default of 5.
_RETRIES = 30
_CREATED_WITHIN = 3.0  # seconds; a file that another process creates is empty at first
_MEND = (
    "Restore it from a backup; or move it away, and the next run begins a new history (each run's"
    " summary.json stays)."
)
_CONNECTIONS = 10  # attempts to open a SQLite file that another run is writing


def connection_config(places: Places) -> pb.ConnectionConfig:
    """The connection configuration for TFX and ML Metadata; creates the SQLite file's folder.

    Raises:
        UserError: if the connection string is invalid or contains a password.
    """
    config = pb.ConnectionConfig(retry_options={"max_num_retries": _RETRIES})
    if (path := sqlite_file(places)) is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        config.sqlite.filename_uri = str(path)
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        return config
    url = _server(places.metadata)
    config.mysql.host = url.hostname
    config.mysql.port = url.port or _PORT
    config.mysql.database = url.path.lstrip("/")
    config.mysql.user = url.username
    config.mysql.password = os.environ.get(PASSWORD, "")
    return config


def sqlite_file(places: Places) -> Path | None:
    """The SQLite file; None if a server keeps the metadata."""
    if not places.metadata:
        return places.runs / "metadata.sqlite"
    if places.metadata.startswith("sqlite:///"):
        return Path(places.metadata.removeprefix("sqlite://"))
    return None


def _server(connection: str) -> SplitResult:
    expected = "expected mysql://USER@HOST[:PORT]/DATABASE or sqlite:///PATH"
    try:
        url = urlsplit(connection)
        _ = url.port
    except ValueError as error:
        raise UserError(f"--metadata: {expected}, got an invalid address: {error}") from error
    if url.password is not None:
        # The message does not repeat the string, so that the password does not get into logs.
        raise UserError(
            "--metadata: others could read a password in the connection string: leave it out and"
            f" set the environment variable {PASSWORD}"
        )
    database = url.path.lstrip("/")
    if url.scheme.startswith("postgres"):
        raise UserError(
            "--metadata: ML Metadata's PostgreSQL backend does not work with this pipeline;"
            f" {expected}"
        )
    if url.scheme != "mysql" or not (url.hostname and url.username and database):
        raise UserError(f"--metadata: {expected}, got {connection!r}")
    if "/" in database or url.query or url.fragment:
        raise UserError(f"--metadata: {expected}, got {connection!r}")
    return url


def open_store(places: Places, create: bool = False) -> mlmd.MetadataStore | None:
    """Opens the store.

    Args:
        create: open it for writing, and create the SQLite file if it does not exist.

    Returns:
        None if `create` is false and the SQLite file does not exist.

    Raises:
        UserError: if the store cannot be opened.
    """
    path = sqlite_file(places)
    if path is not None and not create and not path.exists():
        return None
    if path is not None:
        _check_history(path, places)
    config = connection_config(places)
    if path is not None and not create:
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
    for attempt in range(_CONNECTIONS):
        try:
            return mlmd.MetadataStore(config)
        except (RuntimeError, mlmd.errors.StatusError) as error:
            said = " ".join(_without_password(str(error)).split())
            if path is None:
                raise UserError(
                    f"{places.metadata}: cannot open the metadata store: {said}. Check that the"
                    f" server runs, and check user, database and the password in {PASSWORD}"
                ) from None
            if attempt == _CONNECTIONS - 1:
                raise UserError(
                    f"{path}: cannot open the metadata store: {said}. {_MEND}"
                ) from None
            time.sleep(random.random())
    raise AssertionError("not reached")


def _check_history(path: Path, places: Places) -> None:
    """Raises UserError if the SQLite file is empty; says so if it is gone but runs are not."""
    deadline = time.monotonic() + _CREATED_WITHIN
    while path.exists() and path.stat().st_size == 0:
        if time.monotonic() > deadline:
            raise UserError(f"{path}: expected the history of runs, found an empty file. {_MEND}")
        time.sleep(0.1)
    if not path.exists() and (ended := list(places.runs.glob("*/*/summary.json"))):
        print(
            f"warning: {path} is not there, although {places.runs} has {len(ended)} runs: a new"
            " history begins, and every stage runs",
            file=sys.stderr,
        )


def _without_password(text: str) -> str:
    password = os.environ.get(PASSWORD)
    return text.replace(password, "***") if password else text


class HidePassword(logging.Filter):
    """Removes the password from log messages: TFX logs the connection before each run."""

    def filter(self, record: logging.LogRecord) -> bool:
        password = os.environ.get(PASSWORD)
        if password and password in (message := record.getMessage()):
            record.msg, record.args = message.replace(password, "***"), ()
        return True
