"""Bytes to text, and what is done with bytes that are not UTF-8.

Files are read as UTF-8 with Python's `surrogateescape`, which keeps each invalid byte as
a lone surrogate; `repaired` then mends one record's text or gives it up, so that one bad
record costs one record. What it gives up becomes a dead letter, "invalid_utf8".
"""

from __future__ import annotations

import re

ERRORS = "surrogateescape"  # the `errors=` under which the readers open files

# Text that Windows-1252 was made for is mostly ASCII, even a short one with quotes and
# dashes. Text in another alphabet, and what is no text, has more than this outside ASCII.
HIGHEST_SHARE_OUTSIDE_ASCII = 0.25

_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


def repaired(text: str) -> str | None:
    """Returns `text` without escaped bytes, or None where that is not possible.

    Text without an escaped byte is returned as it is. Else its bytes are read as
    Windows-1252, if (1) no valid multi-byte UTF-8 stands beside the invalid bytes (a
    damaged UTF-8 text would turn into gibberish), (2) each byte has a meaning there, and
    (3) at most HIGHEST_SHARE_OUTSIDE_ASCII of the characters are outside ASCII.

    Args:
        text: decoded as UTF-8 under `errors=ERRORS`.
    """
    escaped = len(_ESCAPED_BYTE.findall(text))
    if not escaped:
        return text
    outside_ascii = sum(not character.isascii() for character in text)
    if outside_ascii > escaped or escaped > HIGHEST_SHARE_OUTSIDE_ASCII * len(text):
        return None
    try:
        return text.encode("utf-8", ERRORS).decode("cp1252")
    except UnicodeDecodeError:
        return None


def printable(text: str) -> str:
    """Returns `text` with each escaped byte as U+FFFD, for messages and excerpts."""
    return _ESCAPED_BYTE.sub("\ufffd", text)
