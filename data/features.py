"""Names of the features, shared by all stages.

TextExampleGen writes the raw features, which the schema describes. Transform writes the
transformed features, which the Trainer reads.
"""

from __future__ import annotations

from collections.abc import Sequence

# Raw: all tasks.
TEXT = "text"
CHARACTERS = "characters"  # length of the text; added by ingest, as a schema can only bound numbers

# Raw: classifications.
LABEL = "label"  # index of the class
LENGTH_BUCKET = "length_bucket"  # by number of words; evaluation slices by it

# Transformed.
TOKENS = "tokens"  # ragged int64


def length_bucket(text: str, bounds: Sequence[int]) -> str:
    """The name of the bucket for the number of words in `text`, such as "128-174" or "285+".

    Args:
        bounds: upper bounds in words, rising.
    """
    words, first = len(text.split()), 1
    for last in bounds:
        if words <= last:
            return f"{first}-{last}"
        first = last + 1
    return f"{first}+"
