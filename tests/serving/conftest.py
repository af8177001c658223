"""The small model, servers of it, and real texts."""

import itertools
import shutil
from pathlib import Path

import pytest
from running_server import serving
from small_model import save

from data.imdb import reader as imdb_reader
from data.records import Record


@pytest.fixture(scope="session")
def saved_version(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "small" / "1"
    folder.parent.mkdir()
    save(folder)
    return folder


@pytest.fixture
def small(saved_version, tmp_path) -> Path:
    """A folder of versions for one test, with version 1 in it."""
    folder = tmp_path / "small"
    shutil.copytree(saved_version, folder / "1")
    return folder


@pytest.fixture(scope="session")
def reviews():
    """Texts of real reviews."""
    source = imdb_reader.open_source(None)
    items = imdb_reader.read_shard(source, source.shards[0], 10_000)
    records = (item for item in items if isinstance(item, Record))
    return [record.features["text"] for record in itertools.islice(records, 40)]


@pytest.fixture(scope="module")
def server(saved_version):
    """One server for the tests that do not change it."""
    with serving(saved_version.parent) as running:
        yield running
