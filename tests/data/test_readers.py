"""How a reader is found: by module or by entry point; and what is no reader."""

import sys

import pytest
from own_corpora import own_task
from read_corpora import read

from data import readers
from data.errors import UserError
from data.imdb import reader as imdb
from data.records import ONE_SHARD, Source

READER = '''
"""One record per verse of a song."""

from pathlib import Path

from data.records import ONE_SHARD, Record, Source, file_sha256


def open_source(path, reading):
    return Source("song", path, file_sha256(Path(path)), (ONE_SHARD,))


def read_shard(source, shard, task, reading, max_characters):
    for number, verse in enumerate(Path(source.path).read_text().split("\\n\\n")):
        yield Record(f"{number:03d}", "train", {reading.text: verse}, source.path, 0)


def check_corpus(source, ledger):
    return [f"{source.kind}: {ledger['read']} verses"]
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with the reader `songs`, and a module that is no reader."""
    info = tmp_path / "songbook-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: songbook\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[tf_mamba.readers]\nsongs = songbook_reader\nlost = songbook_lost\n"
    )
    (tmp_path / "songbook_reader.py").write_text(READER)
    (tmp_path / "songbook_other.py").write_text("def open_source(path, reading): ...\n")
    (tmp_path / "songbook_broken.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("songbook_")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["songs", "songbook_reader"])
def test_a_reader_is_found_by_entry_point_or_module(package, name):
    assert readers.module_name(name) == "songbook_reader"
    (package / "song.txt").write_text("Sing unto the LORD\n\nA new song")
    task = own_task("next-token", reader=name)
    assert [item.features["text"] for item in read(task, package / "song.txt")] == [
        "Sing unto the LORD",
        "A new song",
    ]
    source = Source("song", "song.txt", "", (ONE_SHARD,))
    assert readers.findings(name, source, {"read": 2}) == ["song: 2 verses"]


def test_a_reader_of_this_project_is_found_by_its_module_and_may_have_no_checks():
    assert readers.load("data.imdb.reader") is imdb
    assert readers.findings("data.imdb.reader", Source("csv", "a.csv", "", ()), {}) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no_such_reader",
            r"^reading\.reader: 'no_such_reader' cannot be imported: No module named",
        ),
        ("lost", r"^reading\.reader: 'lost' cannot be imported: .*songbook_lost.*group tf_mamba"),
        ("songbook_broken", r"'songbook_broken' cannot be imported: .*no_such_library"),
        ("songbook_other", r"^reading\.reader: the module songbook_other has no read_shard$"),
        ("json", r"^reading\.reader: the module json has no open_source and no read_shard$"),
    ],
)
def test_what_is_no_reader_is_told(package, name, message):
    with pytest.raises(UserError, match=message) as caught:
        readers.load(name)
    assert "\n" not in str(caught.value)
