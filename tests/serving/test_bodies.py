"""Bodies that are damaged, cut off, compressed or huge."""

import gzip
import http.client
import json
import logging
import socket
import threading
import time

import numpy as np
import pytest
from running_server import serving

from serving import json_size
from serving.errors import ServingError

PREDICT = "/v1/models/small:predict"


def _post(server, body, headers):
    client = http.client.HTTPConnection("127.0.0.1", server.server.rest_port, timeout=30)
    client.request("POST", PREDICT, body, headers)
    answer = client.getresponse()
    return answer.status, json.load(answer)


@pytest.fixture
def log(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("serving"), "propagate", True)
    caplog.set_level(logging.INFO)
    return caplog


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_is_not_compressed_as_it_says_is_400(server, log, encoding):
    body = json.dumps({"instances": ["A film."]}).encode()
    status, answer = _post(server, body, {"Content-Encoding": encoding})
    assert status == 400
    assert encoding in answer["error"]
    assert "\n" not in answer["error"]
    assert not [record for record in log.records if record.exc_info]


def test_a_gzip_body_is_read_and_a_cut_off_one_is_400(server, log):
    body = gzip.compress(json.dumps({"instances": ["A film."]}).encode())
    assert _post(server, body, {"Content-Encoding": "gzip"})[0] == 200
    assert _post(server, body[:-20], {"Content-Encoding": "gzip"})[0] == 400
    assert not [record for record in log.records if record.exc_info]


def test_a_gzip_bomb_is_413_after_the_limit(server):
    bomb = gzip.compress(b" " * (256 << 20))
    assert len(bomb) < 1 << 20
    assert _post(server, bomb, {"Content-Encoding": "gzip"})[0] == 413


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nX: \0\r\n\r\n", b"\x16\x03\x01\0\r\n\r\n"])
def test_bytes_that_are_no_http_are_400_and_at_most_one_line_in_the_log(server, log, sent):
    with socket.create_connection(("127.0.0.1", server.server.rest_port), 10) as connection:
        connection.sendall(sent)
        assert connection.recv(100).startswith(b"HTTP/1.0 400")
    lines = [r.getMessage() for r in log.records if r.name.startswith("serving")]
    assert all("refused a request that is not HTTP: " in line for line in lines)
    assert len(lines) <= 1
    assert not [record for record in log.records if record.exc_info]


@pytest.mark.parametrize("head", [b"Content-Length: 900", b"Transfer-Encoding: chunked"])
def test_a_client_that_leaves_in_mid_body_is_one_line_in_the_log(server, log, head):
    with socket.create_connection(("127.0.0.1", server.server.rest_port), 10) as connection:
        connection.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % (PREDICT.encode(), head))
        time.sleep(0.2)
        connection.sendall(b'5\r\n{"ins')
        time.sleep(0.2)
    end = time.monotonic() + 5
    while "the client left" not in log.text:
        assert time.monotonic() < end
        time.sleep(0.02)
    lines = [record.getMessage() for record in log.records if record.name.startswith("serving")]
    assert len(lines) == 1
    assert lines[0].startswith(f"POST {PREDICT}: the client left")
    assert not [record for record in log.records if record.exc_info]


def test_six_bodies_of_millions_of_rows_are_refused_early_while_health_checks_pass(server):
    body = b'{"instances": [' + b'"",' * 3_700_000 + b'""]}'
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(_post(server, body, {}))) for _ in range(6)
    ]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    slowest = 0.0
    while any(thread.is_alive() for thread in threads):
        asked = time.monotonic()
        assert server.rest("/healthz")[0] == 200
        slowest = max(slowest, time.monotonic() - asked)
    assert time.monotonic() - started < 10  # 15 s for each one when they were parsed
    assert slowest < 2
    assert len(answers) == 6
    for status, answer in answers:
        assert status == 400
        assert "3,700,001 rows; at most 65,536" in answer["error"]


def test_rows_in_columns_are_refused_too(server):
    body = json.dumps({"inputs": {"text": ["a"] * 70_000}}).encode()
    status, answer = _post(server, body, {})
    assert status == 400
    assert "70,000 rows; at most 65,536" in answer["error"]


def test_a_large_body_waits_until_others_have_made_room(saved_version):
    large = json.dumps({"instances": ["x" * (2 << 20)]}).encode()
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (
        PREDICT.encode(),
        len(large),
    )
    with serving(saved_version.parent, rest_timeout=1.5) as server:
        slots = server.server.large_bodies
        held = [
            socket.create_connection(("127.0.0.1", server.server.rest_port), 10)
            for _ in range(slots)
        ]
        for connection in held:
            connection.sendall(head + large[:-1])
        time.sleep(0.5)
        started = time.monotonic()
        # Read when the others' deadline has passed; the model refuses so long a text.
        assert _post(server, large, {})[0] == 400
        assert time.monotonic() - started > 0.5
        assert server.rest(PREDICT, {"instances": ["a"]})[0] == 200
        for connection in held:
            connection.close()


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
def test_values_are_counted_as_the_parser_counts_them(monkeypatch, reviews, chunk):
    monkeypatch.setattr(json_size, "_CHUNK", chunk)
    rows = [[text[:60], '",[\\', "\\"] for text, _ in reviews[:20]] + [{"a": 1, "b": [1, 2]}]
    for ensure_ascii in (True, False):
        body = json.dumps({"instances": rows, "x": 1}, ensure_ascii=ensure_ascii).encode()
        assert json_size.measure(body) == json_size.Size(rows=21, values=21 + 1 + 2 * 20 + 1 + 1)


def test_a_request_of_too_many_nested_values_is_refused():
    body = json.dumps({"instances": [np.zeros((3, json_size.MOST_VALUES // 2), int).tolist()]})
    with pytest.raises(ServingError, match="1,572,864 values; at most 1,048,576"):
        json_size.check_size(body.encode())
    json_size.check_size(json.dumps({"instances": ["a, b" * 500_000]}).encode())
