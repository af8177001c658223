"""Corpora as files."""

import pytest
from own_corpora import snippets, verses, verses_by_part, write_csv


@pytest.fixture(scope="session")
def corpora(tmp_path_factory):
    """snippets.csv, parts.csv (every second verse of five parts of the Bible) and genesis.txt."""
    folder = tmp_path_factory.mktemp("corpora")
    write_csv(folder / "snippets.csv", ["text", "label"], snippets())
    write_csv(folder / "parts.csv", ["verse", "part", "book"], verses_by_part(every=2))
    genesis = [
        f"\nChapter {v.chapter}\n{v.text}" if v.verse == 1 else v.text for v in verses()[:1533]
    ]
    (folder / "genesis.txt").write_text("\n".join(genesis), encoding="utf-8")
    return folder
