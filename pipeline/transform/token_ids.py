"""Ids with a fixed meaning: 0 padding, 1 start of a document, 2..257 the single bytes."""

PADDING_ID = 0
START_ID = 1
RESERVED = ("[PAD]", "[START]")
LINE_END_ID = len(RESERVED) + 0x0A  # the byte's own id: no learned piece holds a line end
