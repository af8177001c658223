"""The REST API keeps to its OpenAPI description, whatever schemathesis sends."""

import subprocess
import sys

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running_server import serving

from serving import openapi

PREDICT = "/v1/models/small:predict"


def test_the_description_is_valid_and_served(server):
    schemathesis.openapi.from_dict(openapi.description("small", 1)).validate()
    status, document = server.rest("/openapi.json")
    assert status == 200
    assert document == openapi.description("small", 1)
    assert "security" not in document


def test_a_server_with_a_token_says_so():
    document = openapi.description("small", 1, has_token=True)
    schemathesis.openapi.from_dict(document).validate()
    assert document["security"] == [{"token": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []


@pytest.mark.slow
def test_generated_requests_get_described_answers_and_no_5xx(saved_version, tmp_path):
    # What rows may hold depends on the signature, so valid requests may get 400; like TensorFlow
    # Serving, the server answers 400 to a GET of a path for POST.
    excluded = "positive_data_acceptance,unsupported_method"
    with serving(saved_version.parent) as server:
        command = [sys.executable, "-m", "schemathesis.cli", "run", server.url + "/openapi.json"]
        options = [
            "--mode=all", "--phases=examples,coverage,fuzzing", "--max-examples=15", "--seed=1",
            "--no-color", f"--exclude-checks={excluded}",
        ]  # fmt: skip
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "Tested: 11" in done.stdout


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "work", "scale", "b64", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    signature=st.sampled_from(["serving_default", "slow", "classify", "sums", "none"]),
    key=st.sampled_from(["instances", "inputs", "examples"]),
    rows=_JSON,
)
def test_any_json_gets_an_answer_or_a_reason(server, signature, key, rows):
    status, answer = server.rest(PREDICT, {"signature_name": signature, key: rows})
    assert status in (200, 400)
    assert set(answer) <= ({"predictions", "outputs"} if status == 200 else {"error"})
