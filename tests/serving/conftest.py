"""The small model, servers of it, and real texts."""

import shutil
from pathlib import Path

import pytest
from ingested import reviews  # noqa: F401  fixture
from running_server import serving
from small_model import save


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
def texts(reviews):  # noqa: F811
    """Real texts."""
    return [text for text, _ in reviews[:40]]


@pytest.fixture(scope="module")
def server(saved_version):
    """One server for the tests that do not change it."""
    with serving(saved_version.parent) as running:
        yield running
