"""TLS and the token of a server, over both APIs."""

import json
import ssl
import urllib.error
import urllib.request

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from running_server import serving

from serving import access
from serving.client import Client
from serving.errors import CannotServe

TOKEN = "3f5a-of-the-tests"
PREDICT = "/v1/models/small:predict"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    """Certificate and key for this machine."""
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for i, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(folder / "cert.pem", append=i > 0)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def guarded(saved_version, files):
    with serving(
        saved_version.parent, tls=access.read_tls(*files), token=TOKEN.encode()
    ) as running:
        yield running


def _get(server, authority, path, token=None, body=None):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    url = f"https://127.0.0.1:{server.server.rest_port}{path}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def _client(server, authority, token):
    pem = authority.cert_pem.bytes() if authority else None
    return Client(f"127.0.0.1:{server.server.grpc_port}", 10, token=token, certificate=pem)


def test_rest_answers_only_over_tls_and_with_the_token(guarded, authority):
    body = {"instances": ["A film."]}
    assert _get(guarded, authority, PREDICT, TOKEN, body)[0] == 200
    for wrong in (None, "x", TOKEN[:-1], TOKEN + "x", "ÿ"):
        status, headers = _get(guarded, authority, PREDICT, wrong, body)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert _get(guarded, authority, "/metrics")[0] == 401
    assert _get(guarded, authority, "/nothing")[0] == 401
    assert _get(guarded, authority, "/metrics", TOKEN)[0] == 200
    for path in ("/healthz", "/readyz"):
        assert _get(guarded, authority, path)[0] == 200
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{guarded.server.rest_port}/healthz", timeout=5)
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        _get(guarded, trustme.CA(), "/healthz")


def test_grpc_answers_only_over_tls_and_with_the_token(guarded, authority):
    with _client(guarded, authority, TOKEN) as client:
        assert client.version("small") == 1
        assert len(client.classify_text(["A film."], "small")) == 1
    for wrong in (None, TOKEN[:-1]):
        with (
            _client(guarded, authority, wrong) as client,
            pytest.raises(grpc.RpcError, match="authorization: Bearer") as caught,
        ):
            client.classify_text(["A film."], "small")
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    with _client(guarded, None, TOKEN) as client, pytest.raises(grpc.RpcError) as caught:
        client.version("small")
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_grpc_health_needs_no_token(guarded, authority):
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    with grpc.secure_channel(f"127.0.0.1:{guarded.server.grpc_port}", credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_damaged_certificate_or_another_key_is_named(files, tmp_path):
    certificate, key = files
    damaged = tmp_path / "damaged.pem"
    damaged.write_bytes(certificate.read_bytes()[:100])
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)
    for pair in ((damaged, key), (certificate, other), (certificate, certificate), (key, key)):
        with pytest.raises(CannotServe, match="expected a PEM certificate and its key") as caught:
            access.read_tls(*pair)
        assert "\n" not in str(caught.value)
    with pytest.raises(CannotServe, match=r"--tls-cert .*none.pem: No such file"):
        access.read_tls(tmp_path / "none.pem", key)
    with pytest.raises(CannotServe, match=r"--tls-key .*: Is a directory"):
        access.read_tls(certificate, tmp_path)


def test_a_token_is_one_line_that_others_cannot_read(tmp_path):
    file = tmp_path / "token"
    with pytest.raises(CannotServe, match=r"--token-file .*: No such file"):
        access.read_token(file)
    file.touch(mode=0o600)
    for content, message in (
        (b"", "an empty file"),
        (b" \n", "an empty file"),
        (b"one two", "spaces, several lines"),
        (b"one\ntwo\n", "spaces, several lines"),
        ("é".encode(), "other characters"),
    ):
        file.write_bytes(content)
        with pytest.raises(CannotServe, match=message):
            access.read_token(file)
    file.write_bytes(b"secret\n")
    assert access.read_token(file) == b"secret"
    file.chmod(0o644)
    with pytest.raises(CannotServe, match=f"every user .* chmod 600 {file}"):
        access.read_token(file)
