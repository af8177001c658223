"""Names of the features, shared by every stage.

Raw features are what ExampleGen writes and the schema describes; transformed ones
are what Transform writes and the Trainer reads.
"""

# Raw: both tasks.
TEXT = "text"
CHARACTERS = "characters"  # length of the text, added by ingest for the schema to limit

# Raw: reviews.
LABEL = "label"  # 0 negative, 1 positive
LENGTH_BUCKET = "length_bucket"  # a slice for evaluation, by number of words

# Raw: the Bible, one Example a chapter.
BOOK = "book"
CHAPTER = "chapter"
TESTAMENT = "testament"

# Transformed.
TOKENS = "tokens"  # ragged int64


def is_positive(probability):
    """Whether a probability of positive (float or array) counts as positive: above 0.5, as in
    TFMA's BinaryAccuracy.
    """
    return probability > 0.5
