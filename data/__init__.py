"""The corpora: readers, formats, splits, checks and schemas; and the tasks on them."""
