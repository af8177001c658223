"""The rules that divide a corpus."""

from collections import Counter

import pytest

from data.generic.splits import split_of
from data.tasks import Split


@pytest.fixture(scope="session")
def texts(reviews):
    return [str(review.features["text"]) for review in reviews[::5]]


def test_shares_by_hash_are_near_those_asked_for_and_white_space_does_not_matter(texts):
    split = Split(eval=0.2, test=0.05)
    of_text = [split_of(split, text, {}) for text in texts]
    counts = Counter(of_text)
    assert counts["eval"] / len(texts) == pytest.approx(0.2, abs=0.02)
    assert counts["test"] / len(texts) == pytest.approx(0.05, abs=0.01)
    assert of_text == [split_of(split, f" {text}\n".replace(" ", "  "), {}) for text in texts]


def test_another_share_of_test_leaves_eval_as_it_is(texts):
    one, two = Split(eval=0.1), Split(eval=0.1, test=0.3)
    assert [split_of(one, text, {}) == "eval" for text in texts] == [
        split_of(two, text, {}) == "eval" for text in texts
    ]


def test_a_group_stays_together_and_a_text_without_one_stands_alone(texts):
    split = Split(by="group", column="film", eval=0.3)
    of_group = {}
    for index, text in enumerate(texts):
        film = str(index // 7)
        of_group.setdefault(film, set()).add(split_of(split, text, {"film": film}))
    assert {frozenset(found) for found in of_group.values()} == {
        frozenset(["train"]), frozenset(["eval"])
    }  # fmt: skip
    alone = {split_of(split, text, {"film": " "}) for text in texts}
    assert alone == {"train", "eval"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("train", "train"), (" Eval ", "eval"), ("TEST", "test"), ("dev", "eval"), ("Dev", None),
     ("", None), (None, None), ("validation", None)],
)  # fmt: skip
def test_a_column_names_the_split_by_its_own_names_or_those_given(value, expected):
    split = Split(by="column", column="part", names={"dev": "eval"})
    assert split_of(split, "A text.", {"part": value}) == expected


def test_a_given_name_goes_before_a_splits_own():
    split = Split(by="column", column="part", names={"test": "eval"})
    assert split_of(split, "A text.", {"part": "test"}) == "eval"
