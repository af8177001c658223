"""The typed client."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from small_model import CLASSES

from serving.client import Classification, Client

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def client(server):
    with Client(f"127.0.0.1:{server.server.grpc_port}") as connected:
        yield connected


def test_it_classifies_text_and_bytes(client, texts):
    texts = [*texts, "at", "eau"]
    answers = client.classify_text(texts, model="small")
    assert answers == client.classify_text([text.encode() for text in texts], model="small")
    assert all(isinstance(answer, Classification) for answer in answers)
    for answer in answers:
        assert tuple(answer.scores) == CLASSES
        assert sum(answer.scores.values()) == pytest.approx(1)
        assert answer.label == max(answer.scores, key=answer.scores.__getitem__)
    assert {answer.label for answer in answers} == set(CLASSES)


def test_it_asks_any_signature_and_reads_tensors_by_rows(client):
    outputs = client.predict(
        "small", {"text": ["four", "seven"], "scale": [2.0]}, "slow", ["scaled", "text_bytes"]
    )
    assert outputs["scaled"].values == [8.0, 10.0]
    assert outputs["text_bytes"].rows() == [[b"four"], [b"seven"]]
    assert client.version("small") == 1


def test_it_raises_the_servers_errors(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.classify_text(["a"], model="large")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_it_needs_no_tensorflow_and_leaves_it_importable(server):
    program = f"""
import sys
from serving.client import Client
with Client("127.0.0.1:{server.server.grpc_port}") as client:
    print(client.classify_text(["A word."], model="small")[0].label)
libraries = {{name.partition(".")[0] for name in sys.modules}}
assert not libraries & {{"tensorflow", "keras", "numpy", "aiohttp"}}, libraries
import tensorflow.core.framework.tensor_pb2  # runs the whole of tensorflow/__init__.py
import tensorflow as tf
assert tf.constant(1).dtype == tf.int32
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in CLASSES
