"""Pipes, devices and sockets in place of files: refused by name, and nothing waits for them."""

import os
import socket

import pytest
from generic_texts import READING, write_table
from read_corpora import BIBLE, IMDB, opened

from data import task_files
from data.errors import UserError
from data.generic import reader
from data.records import file_sha256

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(params=["named pipe", "device", "socket", "link that leads nowhere"])
def special(request, tmp_path):
    """A path that looks like a table's, and what is there."""
    path = tmp_path / "reviews.csv"
    if request.param == "named pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path.symlink_to(tmp_path / "gone")
    return path, request.param


def _open_generic(path):
    return reader.open_source(str(path), READING)


@pytest.mark.parametrize(
    "open_source",
    [
        lambda path: opened(IMDB, path),
        lambda path: opened(BIBLE, path),
        _open_generic,
        lambda path: _open_generic(path.parent),
        lambda path: _open_generic(path.parent / "*.csv"),
        file_sha256,
    ],
    ids=["imdb", "bible", "table", "folder", "pattern", "hash"],
)
def test_it_is_refused_with_its_name_and_kind(special, open_source):
    path, kind = special
    with pytest.raises(UserError, match=rf"^{path}: expected a regular file, got a {kind}\. "):
        open_source(path)


def test_what_is_no_data_by_its_name_may_be_anything(tmp_path):
    write_table(tmp_path / "a.csv", [("A film.", 1)])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "more.csv").mkdir()
    assert reader.open_source(str(tmp_path), READING).shards == ("a.csv",)


def test_a_task_of_pipes_is_refused(tmp_path):
    (tmp_path / "plays").mkdir()
    os.mkfifo(tmp_path / "plays" / "task.toml")
    with pytest.raises(UserError, match=r"task\.toml: expected a regular file, got a named pipe"):
        task_files.find("plays", tmp_path)
