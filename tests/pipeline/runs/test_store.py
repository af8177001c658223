"""ML Metadata by connection string, in SQLite and on a server started for the test."""

import logging
import multiprocessing
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from data.errors import UserError
from pipeline.places import Places
from pipeline.runs import files, records
from pipeline.runs import store as metadata


def _summary(run_id: str) -> dict:
    # As long as a real one, with characters that SQL must escape.
    code = {f"module{i}": f"{i:064x}" for i in range(400)}
    return {"task": "imdb", "run_id": run_id, "code": code, "error": "ſ '\\n\""}


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        ("oracle://a@b/c", "expected mysql://.*, got 'oracle://a@b/c'"),
        (
            "postgresql://user@host/database",
            "PostgreSQL backend does not work .* expected mysql://",
        ),
        ("mysql://host/database", "expected mysql://"),
        ("mysql://user@host", "expected mysql://"),
        ("mysql://user@host:port/database", "invalid address"),
        ("mysql://user:secret@host/d", "set the environment variable TF_MAMBA_METADATA_PASSWORD"),
    ],
)
def test_a_wrong_connection_string_is_refused(tmp_path, connection, message):
    with pytest.raises(UserError, match=message) as error:
        metadata.connection_config(Places.below(tmp_path, connection))
    assert "secret" not in str(error.value)


def test_the_password_comes_from_the_environment_and_is_kept_out_of_logs(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv(metadata.PASSWORD, "secret")
    config = metadata.connection_config(Places.below(tmp_path, "mysql://user@host/runs"))
    assert config.mysql.password == "secret"
    assert (config.mysql.host, config.mysql.port) == ("host", 3306)
    log = logging.getLogger("tf-mamba-test")
    caplog.set_level(logging.WARNING)  # commands raise it for all loggers
    log.addFilter(metadata.HidePassword())
    log.warning("Using connection config:\n %s", config)
    assert "password" in caplog.text
    assert "secret" not in caplog.text


def test_an_unreachable_server_is_an_error_of_one_line(tmp_path):
    places = Places.below(tmp_path, "mysql://user@127.0.0.1:1/runs")
    with pytest.raises(UserError, match="cannot open the metadata store") as error:
        metadata.open_store(places)
    assert "\n" not in str(error.value)


def test_a_summary_is_read_back_unchanged_without_its_file(tmp_path):
    places = Places.below(tmp_path)
    for run_id in ("2-smoke", "1-smoke"):
        files.write_summary(_summary(run_id), places).unlink()
        time.sleep(0.002)  # runs are sorted by milliseconds
    assert records.read_summaries(places) == [_summary("2-smoke"), _summary("1-smoke")]
    assert records.find(places, "latest") == _summary("1-smoke")
    files.write_summary({"task": "imdb", "run_id": "2-smoke"}, places)
    assert records.find(places, "2-smoke") == {"task": "imdb", "run_id": "2-smoke"}


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(100), b"no database" * 99])
def test_a_damaged_store_is_an_error_that_says_what_to_do(tmp_path, monkeypatch, content):
    monkeypatch.setattr(metadata, "_CREATED_WITHIN", 0.2)
    monkeypatch.setattr(metadata, "_CONNECTIONS", 1)
    places = Places.below(tmp_path)
    files.write_summary(_summary("1-smoke"), places)
    path = places.runs / "metadata.sqlite"
    path.write_bytes(content)
    for create in (False, True):
        with pytest.raises(UserError, match="Restore it from a backup; or move it away") as error:
            metadata.open_store(places, create=create)
        assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert path.read_bytes() == content


def test_a_store_that_is_gone_is_told_when_a_new_one_begins(tmp_path, capsys):
    places = Places.below(tmp_path)
    files.write_summary(_summary("1-smoke"), places)
    assert capsys.readouterr().err == ""
    path = places.runs / "metadata.sqlite"
    path.unlink()
    assert metadata.open_store(places, create=True) is not None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {path} is not there, although {places.runs} has 1 runs")


def test_reading_does_not_create_a_store(tmp_path):
    places = Places.below(tmp_path)
    assert records.read_summaries(places) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_concurrent_writers_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers, number = 3, 8
    work = [
        ({"task": f"task{writer}", "run_id": f"{writer}-{i}"}, Places.below(tmp_path))
        for writer in range(writers)
        for i in range(number)
    ]
    with context.Pool(writers) as pool:
        pool.starmap(files.write_summary, work, chunksize=number)
    found = {run.run_id for run in records.past_runs(Places.below(tmp_path))}
    assert found == {f"{w}-{i}" for w in range(writers) for i in range(number)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"no {name}: the system's package mariadb-server has it")
    return found


def _as_user(folder: Path) -> list[str]:
    """A prefix for commands: database servers refuse to run as root."""
    if os.getuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("database servers do not run as root, and there is no setpriv")
    for path in [folder, *folder.parents][:4]:  # pytest's own folders are closed to others
        if path.owner() == "root" and path != Path("/tmp"):
            path.chmod(0o755)
    shutil.chown(folder, "nobody", "nogroup")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def _until(ready, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.2)


@pytest.fixture
def mysql(tmp_path):
    install = _program("mariadb-install-db")
    daemon = _program("mariadbd")
    user, folder, port = _as_user(tmp_path), tmp_path / "data", _free_port()
    start = tmp_path / "start.sql"
    start.write_text(
        "CREATE USER mlmd@localhost IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO mlmd@localhost;"
        " CREATE USER mlmd@'127.0.0.1' IDENTIFIED BY 'secret';"
        " GRANT ALL ON *.* TO mlmd@'127.0.0.1';\n".replace("; ", ";\n")
    )
    subprocess.run(
        [*user, install, "--no-defaults", f"--datadir={folder}", "--skip-test-db"],
        check=True,
        capture_output=True,
    )
    server = subprocess.Popen(
        [*user, daemon, "--no-defaults", f"--datadir={folder}", f"--port={port}",
         "--bind-address=127.0.0.1", f"--socket={tmp_path / 's'}", f"--init-file={start}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        _until(listens, server)
        yield f"mysql://mlmd@127.0.0.1:{port}/mlmd"
    finally:
        server.terminate()
        server.communicate()


@pytest.mark.slow
def test_a_server_stores_the_same_as_sqlite(mysql, tmp_path, monkeypatch):
    places = Places.below(tmp_path, mysql)
    monkeypatch.setenv(metadata.PASSWORD, "secret")
    assert metadata.open_store(places, create=True) is not None
    files.write_summary(_summary("2-smoke"), places)
    time.sleep(0.002)  # runs are sorted by milliseconds
    files.write_summary(_summary("1-smoke"), places)
    assert records.read_summaries(places) == [_summary("2-smoke"), _summary("1-smoke")]
    assert not (tmp_path / "runs" / "metadata.sqlite").exists()
    monkeypatch.setenv(metadata.PASSWORD, "other")
    with pytest.raises(UserError, match="cannot open the metadata store"):
        metadata.open_store(places)
