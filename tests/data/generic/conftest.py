"""Real reviews for the generic reader."""

import pytest


@pytest.fixture(scope="session")
def rows(some):
    """(text, number of the class) of 60 real reviews of each label."""
    return [
        (str(review.features["text"]), int(review.features["label"]))
        for review in some[:60] + some[200:260]
    ]
