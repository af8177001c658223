"""Limits on REST's connections: half-sent headers, idle clients, more clients than fit."""

import http.client
import socket
import time
from contextlib import ExitStack, suppress

import pytest
from running_server import serving

from serving import connections

HALF = b"POST /v1/models/small:predict HTTP/1.1\r\nHost: x\r\nX-Slow: "


def _connect(server, sent=b""):
    connection = socket.create_connection(("127.0.0.1", server.server.rest_port), 10)
    connection.sendall(sent)
    return connection


def _closed_after(connection):
    """Seconds until the server closes a connection."""
    started = time.monotonic()
    with suppress(ConnectionResetError):
        assert connection.recv(1) == b""
    return time.monotonic() - started


def test_half_sent_headers_are_dropped_in_time_even_if_they_trickle(saved_version):
    with serving(saved_version.parent, header_seconds=0.5, idle_seconds=30) as server:
        with _connect(server, HALF) as silent, _connect(server, HALF) as trickling:
            trickling.settimeout(0.1)
            started = time.monotonic()
            with pytest.raises(ConnectionError):
                while time.monotonic() < started + 5:
                    trickling.sendall(b"x")
                    try:
                        if trickling.recv(1) == b"":
                            raise ConnectionResetError
                    except TimeoutError:
                        pass
            assert time.monotonic() - started < 2
            assert _closed_after(silent) < 0.5
        assert server.rest("/healthz")[0] == 200


def test_an_idle_connection_outlasts_the_header_limit_but_not_its_own(saved_version):
    with serving(saved_version.parent, header_seconds=0.2, idle_seconds=1.5) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.server.rest_port)
        for _ in range(3):
            client.request("GET", "/healthz")
            assert client.getresponse().read()
            kept = client.sock
            time.sleep(0.6)
            assert client.sock is kept
        assert 0.2 < _closed_after(kept) < 3


def test_more_half_sent_requests_than_connections_do_not_keep_a_client_out(saved_version):
    with serving(saved_version.parent, max_connections=20) as server, ExitStack() as stack:
        normal = http.client.HTTPConnection("127.0.0.1", server.server.rest_port)
        normal.request("GET", "/healthz")
        assert normal.getresponse().read()
        half = [stack.enter_context(_connect(server, HALF)) for _ in range(60)]
        started = time.monotonic()
        for _ in range(5):
            assert server.rest("/v1/models/small:predict", {"instances": ["a"]})[0] == 200
        assert time.monotonic() - started < 5
        assert len(server.server._connections) <= 20
        assert _closed_after(half[0]) < 1
        kept = normal.sock
        normal.request("GET", "/healthz")  # an idle connection goes after the half-sent ones
        assert normal.getresponse().read()
        assert normal.sock is kept


def test_the_cap_follows_the_limit_on_open_files(monkeypatch):
    infinity = connections.resource.RLIM_INFINITY
    for limit, expected in ((1024, 448), (100, 16), (1 << 20, 8192), (infinity, 8192)):
        monkeypatch.setattr(connections.resource, "getrlimit", lambda _, n=limit: (n, n))
        assert connections.most_connections() == expected
