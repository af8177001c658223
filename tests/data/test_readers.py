"""Readers by the name of a module or of an entry point."""

import sys

import pytest
from read_corpora import BIBLE, opened, records

from data import readers
from data.errors import UserError

READER = """
from data.records import Record, Source

def open_source(path, reading):
    return Source("acme", path or "", "", ("all",))

def read_shard(source, shard, task, reading, max_characters):
    yield Record("1", "train", {"text": "A ticket."}, "", 1)
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installed package whose entry points are `acme`, a reader, and `empty`, which is none."""
    (tmp_path / "acme_tickets.py").write_text(READER)
    (tmp_path / "acme_empty.py").write_text("")
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{readers.GROUP}]\nacme = acme_tickets\nempty = acme_empty\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("acme_tickets", "acme_empty"):
        sys.modules.pop(name, None)


def test_an_entry_point_names_a_module(installed):
    assert readers.module_name("acme") == "acme_tickets"
    assert readers.load("acme") is readers.load("acme_tickets")
    source = readers.load("acme").open_source(None, BIBLE.reading)
    assert readers.findings("acme", source, {}) == []


def test_a_modules_name_is_its_own(installed):
    assert readers.module_name("data.generic.reader") == "data.generic.reader"
    assert readers.load("data.generic.reader").__name__ == "data.generic.reader"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("data.no_such_reader", "'data.no_such_reader' cannot be imported: No module named"),
        ("empty", "the module acme_empty has no open_source and no read_shard"),
        ("data.errors", "the module data.errors has no open_source"),
    ],
)
def test_what_is_no_reader_is_refused(installed, name, what):
    with pytest.raises(UserError, match=rf"^reading\.reader: {what}"):
        readers.load(name)


def test_all_records_are_those_that_can_be_used():
    found = list(readers.all_records(opened(BIBLE), BIBLE.task, BIBLE.reading))
    assert found == records(BIBLE)
