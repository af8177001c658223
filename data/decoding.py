"""Decodes bytes to text and repairs those that are not UTF-8.

The readers open files as UTF-8 with Python's `surrogateescape`, which keeps each invalid byte
as a lone surrogate. `repaired` then repairs the text of one record or rejects it, so that bad
bytes cost one record only: a dead letter, "invalid_utf8".
"""

from __future__ import annotations

import re

from data.errors import DataError

ERRORS = "surrogateescape"  # `errors=` of all files that the readers open

# Text in Windows-1252 is mostly ASCII, even a short text with quotes and dashes. Text in
# another alphabet, and binary data, has a larger share of characters outside ASCII.
HIGHEST_SHARE_OUTSIDE_ASCII = 0.25

_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # an escaped byte, or what JSON can write


def repaired(text: str) -> str | None:
    """Returns `text` without escaped bytes, or None if it cannot be repaired.

    Text without an escaped byte is returned unchanged. Otherwise its bytes are decoded as
    Windows-1252, if (1) there is no valid multi-byte UTF-8 beside the invalid bytes (a damaged
    UTF-8 text would become gibberish), (2) Windows-1252 defines each byte, and (3) at most
    HIGHEST_SHARE_OUTSIDE_ASCII of the characters are outside ASCII.

    Args:
        text: decoded as UTF-8 with `errors=ERRORS`.
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


def without_escapes(text: str, where: str, before: int = 0) -> str:
    """Returns `text`, which must be UTF-8.

    Args:
        text: decoded as UTF-8 with `errors=ERRORS`, as the command line is.
        where: it is from, for the message.
        before: bytes that precede it there.

    Raises:
        DataError: names the first byte that is not UTF-8, and its offset from 0.
    """
    if found := _LONE_SURROGATE.search(text):
        offset = before + len(text[: found.start()].encode())
        byte = ord(found[0]) & 0xFF
        raise DataError(
            f"{where}: expected UTF-8, got the byte 0x{byte:02x} at offset {offset}. Save the text"
            " as UTF-8."
        )
    return text


def printable(text: str) -> str:
    """Returns `text` with U+FFFD for all that UTF-8 cannot write, for messages and excerpts."""
    return _LONE_SURROGATE.sub("\ufffd", text)
