"""The JSON of REST, as TensorFlow Serving documents it, and its errors."""

import base64
import json
import urllib.request

import pytest
from small_model import CLASSES

PREDICT = "/v1/models/small:predict"


def test_rows_come_back_as_predictions(server, texts):
    expected = server.predict({"text": texts}).outputs
    status, answer = server.rest(PREDICT, {"instances": texts})
    assert status == 200
    labels = [row["label"] for row in answer["predictions"]]
    assert [label.encode() for label in labels] == list(expected["label"].string_val)
    for row, probability in zip(
        answer["predictions"], expected["probability"].float_val, strict=True
    ):
        assert row["probability"] == pytest.approx(probability, rel=1e-7)
    named = [{"text": text} for text in texts]
    assert server.rest(PREDICT, {"instances": named}) == (200, answer)
    versioned = "/v1/models/small/versions/1:predict"
    assert server.rest(versioned, {"instances": texts}) == (200, answer)


def test_columns_come_back_as_outputs(server):
    texts = ["A word.", "Another."]
    status, answer = server.rest(PREDICT, {"inputs": {"text": texts}})
    assert status == 200
    assert set(answer["outputs"]) == {"label", "classes", "scores", "probability"}
    assert len(answer["outputs"]["label"]) == 2
    assert server.rest(PREDICT, {"inputs": texts}) == (200, answer)


def test_a_single_output_has_no_name(server):
    body = {"signature_name": "sums", "inputs": [[1, 2, 3], [10, 20, 30]]}
    assert server.rest(PREDICT, body) == (200, {"outputs": [11, 22, 33]})


def test_bytes_go_as_base64_both_ways(server):
    raw = b"\xff\xfe film"
    given = {"b64": base64.b64encode(raw).decode()}
    body = {"signature_name": "slow", "instances": [{"text": given}, {"text": given}]}
    status, answer = server.rest(PREDICT, body)
    assert status == 200
    assert [row["text_bytes"] for row in answer["predictions"]] == [given, given]
    assert server.rest(PREDICT, {"instances": [given]})[0] == 200


def test_floats_are_as_short_as_float32_allows(server):
    body = {"signature_name": "slow", "instances": [{"text": "ab", "scale": 0.1}]}
    request = urllib.request.Request(server.url + PREDICT, json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        assert b'"scaled": 0.2,' in answer.read()


def test_missing_inputs_get_their_defaults(server):
    body = {"signature_name": "slow", "instances": ["four"]}
    assert server.rest(PREDICT, body)[1]["predictions"][0]["scaled"] == 2.0
    body = {"signature_name": "slow", "inputs": {"text": ["four", "four"], "scale": [3]}}
    assert server.rest(PREDICT, body)[1]["outputs"]["scaled"] == [12.0, 12.0]


def test_classify_gives_results(server):
    body = {
        "signature_name": "classify",
        "context": {"year": 1994, "stars": [1.5, 2.5]},
        "examples": [{"text": "A word."}, {"text": {"b64": "QSB3b3JkLg=="}}],
    }
    status, answer = server.rest("/v1/models/small:classify", body)
    assert status == 200
    first, second = answer["results"]
    assert [label for label, _ in first] == list(CLASSES)
    assert first == second


def test_status_and_metadata(server):
    expected = {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    assert server.rest("/v1/models/small") == (200, expected)
    assert server.rest("/v1/models/small/versions/1") == (200, expected)
    status, answer = server.rest("/v1/models/small/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "small", "signature_name": "", "version": "1"}
    definition = answer["metadata"]["signature_def"]["signature_def"]["slow"]
    assert definition["inputs"]["text"]["dtype"] == "DT_STRING"
    assert definition["inputs"]["text"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]
    assert definition["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The document is empty"),
        (b"{", "JSON Parse error"),
        (b"\xff", "JSON Parse error"),
        (b"[" * 100_000, "JSON Parse error"),
        (b"[1]", "Is not object"),
        (b"{}", "Missing 'inputs' or 'instances' key"),
        (b'{"instances": ["a"], "inputs": ["a"]}', "expecting only one of"),
        (b'{"instances": []}', "at least one"),
        (b'{"instances": "a"}', "to be a list"),
        (b'{"instances": [1]}', "Type: Number is not of expected type: string"),
        (b'{"instances": [null]}', "Type: Null is not of expected type: string"),
        (b'{"instances": ["a", ["b"]]}', "Encountered list at unexpected level"),
        (b'{"instances": [["a"]]}', "expected shape [-1], got [1, 1]"),
        (b'{"instances": [{"text": "a"}, "b"]}', "Failed to process element: 1"),
        (b'{"instances": [{"text": "a", "x": 1}]}', "Sent extra: {x}"),
        (b'{"inputs": {"x": ["a"]}}', "Missing but required: {text}"),
        (b'{"instances": [{"b64": "?"}]}', "Unable to base64 decode"),
        (b'{"instances": ["\\ud800"]}', "surrogates not allowed"),
        (b'{"signature_name": 1, "instances": ["a"]}', "must be a string value"),
        (
            b'{"signature_name": "\\ud800", "instances": ["a"]}',
            " is not valid Unicode",
        ),
        (b'{"signature_name": "sing", "instances": ["a"]}', "not found in signature def"),
        (b'{"signature_name": "sums", "inputs": [[1, 2], [3]]}', "at unexpected size: 1"),
        (b'{"signature_name": "sums", "inputs": [[1.5], [3]]}', "not of expected type: int64"),
        (b'{"signature_name": "sums", "inputs": [[true], [3]]}', "Type: Bool"),
        (b'{"signature_name": "sums", "inputs": [[1e99], [3]]}', "not of expected type: int64"),
        (
            b'{"signature_name": "sums", "inputs": [[9223372036854775808], [3]]}',
            "not of expected type: int64",
        ),
        (
            b'{"signature_name": "slow", "inputs": {"text": ["a"], "scale": [16777217]}}',
            "without loss of precision",
        ),
    ],
)
def test_wrong_bodies_are_400_with_a_reason(server, body, message):
    status, answer = server.rest(PREDICT, data=body)
    assert (status, list(answer)) == (400, ["error"])
    assert message in answer["error"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"examples": []}, "at least one example"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"text": None}]}, "unexpected JSON type: Null"),
        ({"examples": [{"text": ["a", 1]}]}, "another type than bytes_list"),
        ({"examples": [{"text": 2**63}]}, "text"),
    ],
)
def test_wrong_examples_are_400_with_a_reason(server, body, message):
    body = {"signature_name": "classify", **body}
    status, answer = server.rest("/v1/models/small:classify", body)
    assert status == 400
    assert message in answer["error"]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1/models/large", 404, "Could not find any versions of model large"),
        ("/v1/models/small/versions/7", 404, "Could not find version 7 of model small"),
        ("/v1/models/small/versions/99999999999999999999", 400, "Failed to convert version"),
        ("/v1/models/small/versions/" + "0" * 5000 + "1", 200, None),
        ("/v1/models/small/labels/stable", 400, "Unrecognized servable version label"),
        ("/v1/models/small/metadatum", 400, "Malformed request: GET"),
        ("/v2/models/small", 404, "404: Not Found"),
    ],
)
def test_wrong_paths_are_refused_with_a_reason(server, path, status, message):
    got, answer = server.rest(path)
    assert got == status
    assert message is None or message in answer["error"]


def test_wrong_posts_are_refused_with_a_reason(server):
    body = {"instances": ["a"]}
    message = {"error": "Servable not found for request: Latest(large)"}
    assert server.rest("/v1/models/large:predict", body) == (404, message)
    assert server.rest("/v1/models/small:regress", body)[0] == 501
    assert server.rest("/v1/models/small", body)[0] == 400
    assert server.rest("/healthz", body)[0] == 405


def test_health_readiness_and_metrics(server):
    assert server.rest("/healthz") == (200, {"status": "ok"})
    assert server.rest("/readyz") == (200, {"ready": True})
    server.rest(PREDICT, {"instances": ["a"]})
    server.rest(PREDICT, {"instances": [1]})
    with urllib.request.urlopen(server.url + "/metrics") as answer:
        page = answer.read().decode()
    assert 'serving_requests_total{api="rest",code="OK",method="Predict"}' in page
    assert 'serving_requests_total{api="rest",code="INVALID_ARGUMENT",method="Predict"}' in page
    assert "serving_model_version 1.0" in page
    assert "process_resident_memory_bytes" in page
