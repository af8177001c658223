import csv

import pytest

from benchmarks import corpora, data_growth
from data.facts import same_text


def _written(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """20 reviews, three times."""
    path = tmp_path_factory.mktemp("corpus") / "reviews.csv"
    assert data_growth.write_reviews(path, copies=3, most=20) == 60
    return path


def test_copies_are_distinct_texts_of_the_same_labels_and_lengths(written):
    rows = _written(written)
    assert len({same_text(row["text"]) for row in rows}) == 60
    for copy in (20, 40):
        for own, changed in zip(rows[:20], rows[copy : copy + 20], strict=True):
            assert own["label"] == changed["label"]
            words, others = own["text"].split(" "), changed["text"].split(" ")
            assert len(words) == len(others)
            same = sum(a == b for a, b in zip(words, others, strict=True))
            assert 0.75 < same / len(words) < 1


def test_the_first_copy_is_the_reviews_and_a_seed_gives_the_same_again(written, tmp_path):
    real = {record.features["text"] for record in corpora.records(corpora.packaged("imdb"))}
    rows = _written(written)
    assert {row["text"] for row in rows[:20]} <= real
    assert not {row["text"] for row in rows[20:]} & real
    again = tmp_path / "again.csv"
    data_growth.write_reviews(again, copies=3, most=20)
    assert again.read_bytes() == written.read_bytes()


def test_slope_is_that_of_the_last_two_sizes():
    assert data_growth.slope({100: 5.0, 1_000: 2.0, 10_000: 20.0}) == 1
    assert data_growth.slope({100: 5.0}) is None
