"""Which bytes are repaired, and which are rejected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.decoding import ERRORS, printable, repaired, without_escapes
from data.errors import DataError


def read(content: bytes) -> str:
    return content.decode("utf-8", ERRORS)


@given(st.text(st.characters(codec="utf-8")))
def test_valid_utf8_is_returned_unchanged(text):
    assert repaired(read(text.encode())) == text


@pytest.mark.parametrize(
    "text",
    ["Amélie is a naïve, déjà-vu film", "It’s a “must” – see…", "costs 5 €, says Šajinović"],
)
def test_windows_text_is_repaired(text):
    windows = text.encode("cp1252", "ignore")
    assert repaired(read(windows)) == windows.decode("cp1252")


@pytest.mark.parametrize(
    "content",
    [
        "café and ".encode() + b"caf\xe9 in the same text",  # damaged UTF-8
        "фильм очень хороший".encode("koi8-r"),
        "映画はとても良かった".encode("shift-jis"),
        b"\x89PNG\r\n\x1a\n\x00\x00\xde\xad\xbe\xef",
        b"a byte that Windows does not know: \x81",
    ],
)
def test_other_bytes_are_rejected(content):
    assert repaired(read(content)) is None


@given(st.binary())
def test_what_is_returned_can_be_written(content):
    text = read(content)
    printable(text).encode()
    (repaired(text) or "").encode()


def test_half_a_sign_that_json_can_write_is_printable():
    assert printable("one \ud83d two") == "one \ufffd two"


def test_the_first_byte_outside_utf8_is_named_with_its_offset():
    assert without_escapes("café", "text 1") == "café"
    text = b"caf\xc3\xa9 caf\xe9".decode("utf-8", ERRORS)
    with pytest.raises(DataError, match=r"^text 2: expected UTF-8, got .* 0xe9 at offset 9\."):
        without_escapes(text, "text 2")
    with pytest.raises(DataError, match=r"offset 109"):
        without_escapes(text, "text 2", before=100)
