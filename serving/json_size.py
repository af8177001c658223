"""Counts the values of a JSON text without parsing it.

Python's parser holds the interpreter's lock until it has read everything, and makes an object of
each value: a body of 15 MB may have millions. NumPy counts them in a few milliseconds per MB and
lets other threads run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from serving.errors import invalid_argument

MOST_ROWS = 65_536
MOST_VALUES = 1 << 20
_CHUNK = 1 << 20  # bytes
_SMALL = 1 << 16  # bytes that are parsed at once
_BACKSLASHES = re.compile(rb"\\+\Z")
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STEP = np.zeros(256, np.int8)
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1


@dataclass
class Size:
    """What commas outside strings tell.

    Attributes:
        rows: items of the lists one level below the top, such as `instances`.
        values: all items, at least.
    """

    rows: int
    values: int


def check_size(body: bytes) -> None:
    """Refuses a request that has too many rows or values to be parsed.

    Raises:
        ServingError: INVALID_ARGUMENT, with the limit.
    """
    if len(body) <= _SMALL:
        return
    size = measure(body)
    if size.rows > MOST_ROWS:
        raise invalid_argument(
            f"the request has {size.rows:,} rows; at most {MOST_ROWS:,} are read: send fewer per"
            " request"
        )
    if size.values > MOST_VALUES:
        raise invalid_argument(
            f"the request has {size.values:,} values; at most {MOST_VALUES:,} are read: send fewer"
            " per request, or use gRPC"
        )


def measure(body: bytes) -> Size:
    """Counts rows and values; for text that is no JSON the numbers mean nothing."""
    rows = values = 1
    depth, in_string, start = 0, 0, 0
    while start < len(body):
        chunk = body[start : start + _CHUNK]
        # An escape belongs to one chunk.
        tail = _BACKSLASHES.search(chunk)
        if tail and len(tail[0]) % 2:
            chunk = body[start : start + len(chunk) + 1]
        start += len(chunk)
        if b"\\" in chunk:
            chunk = _ESCAPE.sub(b"", chunk)
        letters = np.frombuffer(chunk, np.uint8)
        quotes = np.cumsum(letters == ord('"'), dtype=np.uint8)  # wraps; its parity stays
        outside = (quotes + np.uint8(in_string)) & 1 == 0
        depths = depth + np.cumsum(_STEP[letters] * outside, dtype=np.int32)
        commas = (letters == ord(",")) & outside
        rows += int(np.count_nonzero(commas & (depths == 2)))
        values += int(np.count_nonzero(commas))
        if len(letters):
            depth, in_string = int(depths[-1]), (in_string + int(quotes[-1])) & 1
    return Size(rows, values)
