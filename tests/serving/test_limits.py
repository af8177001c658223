"""Limits of a server, and how it stops."""

import asyncio
import contextlib
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from running_server import predict_request, serving

from serving.errors import CannotServe, ServingError
from serving.workers import Workers

pytestmark = pytest.mark.slow


def _slow(server, milliseconds, timeout=30):
    request = predict_request({"text": ["a"], "work": [milliseconds]}, "slow")
    return server.prediction.Predict.future(request, timeout=timeout)


def _until_in_flight(server, count):
    end = time.monotonic() + 10
    while server.server._workers.in_flight != count:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_request_larger_than_the_limit_is_refused_by_both_apis(saved_version):
    with serving(saved_version.parent, max_request_bytes=10_000) as server:
        text = "x" * 9_000
        assert server.predict({"text": [text]}).outputs
        with pytest.raises(grpc.RpcError) as caught:
            server.predict({"text": [text, text]})
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        status, answer = server.rest("/v1/models/small:predict", {"instances": [text, text]})
        assert (status, list(answer)) == (413, ["error"])
        assert server.rest("/v1/models/small:predict", {"instances": [text]})[0] == 200


def test_more_requests_than_the_limit_are_refused_by_both_apis(saved_version):
    with serving(saved_version.parent, max_in_flight=1) as server:
        running = _slow(server, 1000)
        _until_in_flight(server, 1)
        with pytest.raises(grpc.RpcError) as caught:
            server.predict({"text": ["a"]})
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "1 requests are in the server already" in caught.value.details()
        assert server.rest("/v1/models/small:predict", {"instances": ["a"]})[0] == 429
        assert running.result()
        _until_in_flight(server, 0)
        assert server.predict({"text": ["a"]}).outputs


def test_work_whose_deadline_passed_while_it_waited_is_not_started():
    begun = []

    async def scenario():
        workers = Workers(threads=1, most=10)
        first = asyncio.ensure_future(
            workers.run(lambda: time.sleep(0.3) or begun.append("first"), float("inf"))
        )
        await asyncio.sleep(0.05)
        with pytest.raises(ServingError) as caught:
            await workers.run(lambda: begun.append("late"), time.time() + 0.1)
        gone = asyncio.ensure_future(workers.run(lambda: begun.append("gone"), float("inf")))
        await asyncio.sleep(0.01)
        gone.cancel()
        await first
        await workers.run(lambda: begun.append("last"), float("inf"))
        workers.stop()
        assert workers.in_flight == 0
        return caught.value.code

    assert asyncio.run(scenario()) == grpc.StatusCode.DEADLINE_EXCEEDED
    assert begun == ["first", "last"]


def test_a_rest_request_that_takes_too_long_is_504(saved_version):
    with serving(saved_version.parent, rest_timeout=0.2) as server:
        body = {"signature_name": "slow", "instances": [{"text": "a", "work": 1000}]}
        status, answer = server.rest("/v1/models/small:predict", body)
        assert (status, list(answer)) == (504, ["error"])


def test_a_body_that_never_ends_is_504(saved_version):
    head = b"POST /v1/models/small:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    with (
        serving(saved_version.parent, rest_timeout=0.3) as server,
        socket.create_connection(("127.0.0.1", server.server.rest_port), 10) as connection,
    ):
        connection.sendall(head + b"{")
        assert connection.recv(100).startswith(b"HTTP/1.1 504")


def test_stopping_finishes_running_requests_and_refuses_new_ones(saved_version):
    with serving(saved_version.parent) as server, ThreadPoolExecutor(2) as pool:
        running = _slow(server, 1000)
        body = {"signature_name": "slow", "instances": [{"text": "a", "work": 1000}]}
        over_rest = pool.submit(server.rest, "/v1/models/small:predict", body)
        _until_in_flight(server, 2)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.2)
        with pytest.raises(grpc.RpcError) as caught:
            server.predict({"text": ["a"]}, timeout=5)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(server.url + "/readyz", timeout=5)
        assert running.result().outputs["rows"].int_val
        assert over_rest.result()[0] == 200
        stopping.join()


def test_stopping_under_load_answers_whatever_was_accepted(saved_version):
    body = {"signature_name": "slow", "instances": [{"text": "a", "work": 300}]}
    data = json.dumps(body).encode()
    head = b"POST /v1/models/small:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    with (
        serving(saved_version.parent, batching=None) as server,
        ThreadPoolExecutor(10) as pool,
        socket.create_connection(("127.0.0.1", server.server.rest_port), 10) as uploading,
    ):
        uploading.sendall(head % len(data) + data[:-1])
        over_grpc = [_slow(server, 300) for _ in range(10)]
        over_rest = [pool.submit(server.rest, "/v1/models/small:predict", body) for _ in range(10)]
        _until_in_flight(server, 20)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.4)
        uploading.sendall(data[-1:])
        assert uploading.recv(100).startswith(b"HTTP/1.1 200")
        assert [answer.result()[0] for answer in over_rest] == [200] * 10
        assert all(answer.result().outputs["rows"].int_val for answer in over_grpc)
        stopping.join()


@pytest.mark.parametrize("port", ["grpc_port", "rest_port"])
def test_a_port_in_use_is_reported_in_one_line(saved_version, port):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        number = taken.getsockname()[1]
        option = "--" + port.replace("_", "-")
        with pytest.raises(CannotServe, match=rf"127.0.0.1:{number}: cannot listen .* {option}"):
            serving(saved_version.parent, **{port: number}).__enter__()


def test_two_servers_do_not_share_a_port(server, saved_version):
    with pytest.raises(CannotServe, match="cannot listen there"):
        serving(saved_version.parent, grpc_port=server.server.grpc_port).__enter__()


def test_it_listens_on_loopback_by_default(server):
    addresses = {socket.getsockname()[0] for socket in server.server._listener.sockets}
    assert addresses == {"127.0.0.1"}
