"""Real reviews with their labels."""

import pytest


@pytest.fixture(scope="session")
def labelled(reviews):
    """300 different real reviews with their labels, from the whole corpus."""
    texts = {str(review.features["text"]): review.features["label"] for review in reviews[::83]}
    return list(texts.items())[:300]
