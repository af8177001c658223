"""Requests that arrive together run as one batch, and do not affect each other."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import numpy as np
import pytest
from running_server import predict_request, serving

from serving.batching import BatchingParameters

pytestmark = pytest.mark.slow

PATIENT = BatchingParameters(max_batch_size=8, batch_timeout_micros=400_000, num_batch_threads=1)


@pytest.fixture(scope="module")
def patient(saved_version):
    """A server that waits 0.4 s for a batch to fill."""
    with serving(saved_version.parent, batching=PATIENT) as running:
        yield running


def _together(server, requests):
    """Answers or errors of requests that are sent at once."""

    def ask(request):
        try:
            return server.prediction.Predict(request, timeout=30)
        except grpc.RpcError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def test_requests_of_one_signature_run_as_one_batch(patient):
    texts = [["a"], ["bb", "ccc"], ["dddd"]]
    answers = _together(patient, [predict_request({"text": t}, "slow") for t in texts])
    assert [list(a.outputs["rows"].int_val) for a in answers] == [[4], [4, 4], [4]]
    assert [list(a.outputs["scaled"].float_val) for a in answers] == [[0.5], [1, 1.5], [2]]


def test_settings_of_one_row_are_each_requests_own(patient):
    inputs = [
        {"text": ["ab", "abcd"]},
        {"text": ["ab", "abcd"], "scale": [2.0]},
        {"text": ["ab", "abcd"], "scale": [2.0, 10.0]},
    ]
    answers = _together(patient, [predict_request(i, "slow") for i in inputs])
    assert all(set(a.outputs["rows"].int_val) == {6} for a in answers)
    assert [list(a.outputs["scaled"].float_val) for a in answers] == [[1, 2], [4, 8], [4, 40]]


def test_a_batch_gives_what_each_request_gets_alone(saved_version, patient, texts):
    requests = [predict_request({"text": [text]}) for text in texts[:8]]
    batched = [a.outputs["probability"].float_val[0] for a in _together(patient, requests)]
    with serving(saved_version.parent, batching=None) as alone:
        one_by_one = [
            alone.prediction.Predict(r).outputs["probability"].float_val[0] for r in requests
        ]
    np.testing.assert_allclose(batched, one_by_one, rtol=1e-6)


def test_an_invalid_row_fails_its_own_request_only(patient):
    texts = ["a", "x" * 20_001, "bb"]
    good, bad, other = _together(patient, [predict_request({"text": [t]}, "") for t in texts])
    assert bad.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "the text is too long" in bad.details()
    assert len(good.outputs["label"].string_val) == len(other.outputs["label"].string_val) == 1


def test_a_request_larger_than_a_batch_runs_alone(patient):
    texts = ["ab"] * 9
    outputs = patient.predict({"text": texts}, "slow").outputs
    assert list(outputs["rows"].int_val) == [9] * 9


def test_a_full_queue_refuses_and_recovers(saved_version):
    small = replace(PATIENT, max_batch_size=1, max_enqueued_batches=1, batch_timeout_micros=0)
    with serving(saved_version.parent, batching=small) as server:
        request = predict_request({"text": ["a"], "work": [300]}, "slow")
        answers = _together(server, [request] * 6)
        refused = [a for a in answers if isinstance(a, grpc.RpcError)]
        assert 1 <= len(refused) <= 5
        assert {a.code() for a in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert "queue" in refused[0].details()
        assert server.predict({"text": ["a"]}, "slow").outputs["rows"].int_val == [1]


def test_rows_whose_deadline_passes_in_the_queue_are_left_out_of_their_batch(saved_version):
    one = replace(PATIENT, max_batch_size=8, batch_timeout_micros=10_000)
    with serving(saved_version.parent, batching=one) as server:
        busy = threading.Thread(
            target=server.predict, args=({"text": ["a"], "work": [4000]}, "slow")
        )
        busy.start()
        while server.server._workers.in_flight != 1:
            time.sleep(0.01)
        time.sleep(0.5)  # now the only batch thread is busy, and new requests wait
        late = server.prediction.Predict.future(predict_request({"text": ["b"]}, "slow"), 0.1)
        patient = server.prediction.Predict.future(predict_request({"text": ["c"]}, "slow"), 30)
        assert late.exception().code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert patient.result().outputs["rows"].int_val == [1]  # and not 2
        busy.join()
