"""Names of the features, shared by all stages.

TextExampleGen writes the raw features, which the schema describes. Transform writes the
transformed features, which the Trainer reads.
"""

# Raw: both tasks.
TEXT = "text"
CHARACTERS = "characters"  # length of the text; added by ingest, as a schema can only bound numbers

# Raw: reviews.
LABEL = "label"  # 0 negative, 1 positive
LENGTH_BUCKET = "length_bucket"  # by number of words; evaluation slices by it

# Raw: the Bible, one Example per chapter.
BOOK = "book"
CHAPTER = "chapter"
TESTAMENT = "testament"

# Transformed.
TOKENS = "tokens"  # ragged int64


def is_positive(probability):
    """Whether a probability of positive (float, array or tensor) counts as positive: above 0.5,
    as in TFMA's BinaryAccuracy.
    """
    return probability > 0.5
