"""Readers take any bytes, or refuse them by one line; and do not hang."""

import any_bytes
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FRAGMENTS = st.lists(st.sampled_from(any_bytes.FRAGMENTS), max_size=30).map(b"".join)


@st.composite
def _damaged(draw, content):
    """The content with some bytes overwritten, taken out or put in."""
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(content)))
        kept = draw(st.integers(at, min(len(content), at + 20)))
        content = content[:at] + draw(st.binary(max_size=6) | FRAGMENTS) + content[kept:]
    return content


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", any_bytes.KINDS)
@settings(max_examples=60, deadline=5_000, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_are_read_or_refused(kind, data, tmp_path_factory):
    content = data.draw(st.binary(max_size=200) | FRAGMENTS | _damaged(any_bytes.valid(kind)))
    any_bytes.check(tmp_path_factory.getbasetemp(), kind, content)


@pytest.mark.parametrize("kind", any_bytes.KINDS)
def test_what_is_damaged_is_valid_before(kind, tmp_path):
    any_bytes.check(tmp_path, kind, any_bytes.valid(kind))
