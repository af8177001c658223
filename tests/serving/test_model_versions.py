"""Newer versions replace older ones while requests run; broken versions do not."""

import gc
import itertools
import shutil
import threading
import time
import weakref

import grpc
import pytest
import tensorflow as tf
from running_server import predict_request, serving
from small_model import copy_version, save
from tensorflow_serving.apis import get_model_status_pb2, prediction_log_pb2

from serving import checksums
from serving.errors import CannotServe, ServingError
from serving.inference import warm_up
from serving.served_model import ServedModel

pytestmark = pytest.mark.slow


def _wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "condition not met in time"
        time.sleep(0.02)


def _statuses(server):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "small"
    return {s.version: s for s in server.model.GetModelStatus(request).model_version_status}


def test_no_request_fails_while_versions_change(small, texts):
    with serving(small) as server:
        failed, versions, ended = [], set(), threading.Event()

        def ask(name):
            endless = itertools.cycle(texts)
            while not ended.is_set():
                try:
                    if name == "rest":
                        status, answer = server.rest(
                            "/v1/models/small:predict", {"instances": [next(endless)]}
                        )
                        assert status == 200, answer
                    else:
                        response = server.predict({"text": [next(endless)]})
                        versions.add(response.model_spec.version.value)
                except Exception as error:
                    failed.append(error)

        threads = [threading.Thread(target=ask, args=(n,)) for n in ("grpc", "grpc", "rest")]
        for thread in threads:
            thread.start()
        for number in (2, 3, 4):
            copy_version(small, number)
            _wait_until(lambda number=number: server.server.versions.version == number)
        time.sleep(0.1)
        ended.set()
        for thread in threads:
            thread.join()
        assert failed == []
        assert {1, 2, 3, 4} == versions


def test_the_new_version_gives_its_own_answers_and_the_old_one_is_freed(small):
    with serving(small) as server:
        old = weakref.ref(server.server.versions._current)
        before = server.predict({"text": ["A word."]}).outputs["probability"].float_val[0]
        save(small / "2", bias=0.25)
        _wait_until(lambda: server.server.versions.version == 2)
        after = server.predict({"text": ["A word."]}).outputs["probability"].float_val[0]
        assert after == pytest.approx(before + 0.25)
        _wait_until(lambda: _statuses(server)[1].state == _statuses(server)[1].END)
        gc.collect()
        assert old() is None


def test_a_request_that_runs_keeps_its_version_loaded(small, monkeypatch):
    with serving(small) as server:
        model = server.server.versions._current
        begun, may_end, run = threading.Event(), threading.Event(), model.run

        def run_slowly(*arguments):
            begun.set()
            assert may_end.wait(30)
            return run(*arguments)

        monkeypatch.setattr(model, "run", run_slowly)
        running = server.prediction.Predict.future(predict_request({"text": ["a"]}, "slow"))
        assert begun.wait(30)
        copy_version(small, 2)
        _wait_until(lambda: server.server.versions.version == 2)
        server.server.versions.poll()
        assert _statuses(server)[1].state == _statuses(server)[1].UNLOADING
        may_end.set()
        assert running.result(30).model_spec.version.value == 1
        _wait_until(lambda: _statuses(server)[1].state == _statuses(server)[1].END)


@pytest.mark.parametrize("name", [".2", "2.tmp", "tmp2", "-2", "²"])
def test_a_half_copied_version_is_skipped(small, name):
    shutil.copytree(small / "1", small / name)
    (small / "9").write_text("a file, not a folder")
    with serving(small) as server:
        server.server.versions.poll()
        assert list(_statuses(server)) == [1]


@pytest.mark.parametrize(
    "fault", ["no graph", "cut graph", "cut variables", "cut warm-up", "warm-up fails"]
)
def test_while_a_newer_version_is_broken_the_former_one_serves(small, fault):
    newer, served = small / ".2", small / "2"
    shutil.copytree(small / "1", newer)
    name = {
        "no graph": "saved_model.pb",
        "cut graph": "saved_model.pb",
        "cut variables": "variables/variables.index",
    }.get(fault, "assets.extra/tf_serving_warmup_requests")
    whole = (newer / name).read_bytes()
    if fault == "no graph":
        (newer / name).unlink()
    elif fault == "warm-up fails":
        log = prediction_log_pb2.PredictionLog()
        log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto([1]))
        with tf.io.TFRecordWriter(str(newer / name)) as writer:
            writer.write(log.SerializeToString())
    else:
        (newer / name).write_bytes(whole[: len(whole) // 2])
    with serving(small) as server:
        newer.rename(served)
        _wait_until(lambda: 2 in _statuses(server) and _statuses(server)[2].status.error_code)
        status = _statuses(server)[2]
        assert (status.state, bool(status.status.error_message)) == (status.END, True)
        assert server.predict({"text": ["a"]}).model_spec.version.value == 1
        (served / name).write_bytes(whole)  # repaired: the server retries it when its files change
        _wait_until(lambda: server.server.versions.version == 2)
        assert server.predict({"text": ["a"]}).model_spec.version.value == 2


def test_a_version_whose_files_changed_since_the_push_is_refused(small):
    newer, served = small / ".2", small / "2"
    shutil.copytree(small / "1", newer)
    checksums.write_sums(newer)
    # Damage that TensorFlow would not notice: the last byte of a weight.
    variables = newer / "variables" / "variables.data-00000-of-00001"
    content = bytearray(variables.read_bytes())
    content[0] ^= 1
    variables.write_bytes(content)
    newer.rename(served)
    with serving(small) as server:
        status = _statuses(server)[2]
        assert (status.state, status.status.error_code) == (status.END, 15)  # DATA_LOSS
        changed = served / "variables" / "variables.data-00000-of-00001"
        assert status.status.error_message == f"{changed} has changed"
        assert server.predict({"text": ["a"]}).model_spec.version.value == 1


def test_after_the_newest_version_is_deleted_the_previous_one_serves(small):
    copy_version(small, 2)
    with serving(small) as server:
        assert server.server.versions.version == 2
        shutil.rmtree(small / "2")
        _wait_until(lambda: server.server.versions.version == 1)
        assert server.predict({"text": ["a"]}).model_spec.version.value == 1
        shutil.rmtree(small / "1")
        server.server.versions.poll()
        assert server.predict({"text": ["a"]}).model_spec.version.value == 1


def test_numbers_are_compared_as_numbers(small):
    copy_version(small, 9)
    copy_version(small, 10)
    with serving(small) as server:
        assert server.server.versions.version == 10


def test_a_folder_without_a_version_is_not_served(tmp_path):
    with pytest.raises(CannotServe, match="expected folders of versions, named by numbers"):
        serving(tmp_path / "small").__enter__()


def test_a_folder_whose_only_version_is_broken_is_not_served(small):
    (small / "1" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(CannotServe, match=r"small/1: "):
        serving(small).__enter__()


def test_warm_up_of_too_many_requests_fails_the_load(small):
    file = small / "1" / "assets.extra" / "tf_serving_warmup_requests"
    (record,) = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    with tf.io.TFRecordWriter(str(file)) as writer:
        for _ in range(1001):
            writer.write(record)
    model = ServedModel(small / "1")
    with pytest.raises(ServingError, match=r"exceeds the maximum \(1000\)") as caught:
        warm_up(model)
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
