"""Pushed models behind `tf-mamba serve`, asked by clients."""

import http.client
import json
import signal
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import numpy as np
import pytest
from read_corpora import IMDB, records
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc

from pipeline.pushed_models import model as pushed_model
from serving.client import Client
from serving.served_model import ServedModel

pytestmark = pytest.mark.slow

ODD_TEXTS = [b"", b" \t ", b"\xff\xfe caf\xe9", b"a\0b", "🎬🎬".encode(), "סרט טוב".encode()]


@dataclass
class Served:
    process: subprocess.Popen
    grpc: str
    rest: str
    model: object


@contextmanager
def _served(command, task):
    process = command.start("serve", task, "--builtin", "--grpc-port", "0", "--rest-port", "0")
    try:
        line = process.stdout.readline()
        assert "gRPC on" in line, process.communicate()[1]
        address = line.partition("gRPC on ")[2].partition(",")[0]
        rest = line.rpartition("http://")[2].partition("/")[0]
        model = pushed_model.latest_version(command.root / "serving_models", task)
        yield Served(process, address, rest, model)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served_imdb(imdb):
    with _served(imdb, "imdb") as served:
        yield served


@pytest.fixture(scope="module")
def served_bible(bible):
    with _served(bible, "bible") as served:
        yield served


@pytest.fixture(scope="module")
def reviews():
    return [record.features["text"] for record in records(IMDB)[:60]]


def _rest(served, path, body):
    connection = http.client.HTTPConnection(served.rest, timeout=60)
    connection.request("POST", path, json.dumps(body))
    response = connection.getresponse()
    return response.status, json.load(response)


def test_both_apis_give_what_the_model_gives_alone(served_imdb, reviews):
    model = ServedModel(served_imdb.model)
    expected = model.predict("serving_default", text=reviews)["probability"]
    with Client(served_imdb.grpc) as client, ThreadPoolExecutor(16) as pool:
        together = [each.scores["positive"] for each in client.classify_text(reviews, "imdb")]
        batched = pool.map(
            lambda text: client.classify_text([text], "imdb")[0].scores["positive"], reviews
        )
        np.testing.assert_allclose(list(batched), expected, atol=1e-5)
    np.testing.assert_allclose(together, expected, atol=1e-5)
    status, answer = _rest(served_imdb, "/v1/models/imdb:predict", {"instances": reviews})
    assert status == 200
    by_rest = [row["probability"] for row in answer["predictions"]]
    np.testing.assert_allclose(by_rest, expected, atol=1e-5)


def test_odd_texts_get_an_answer_each(served_imdb, served_bible):
    with Client(served_imdb.grpc) as client:
        answers = client.classify_text(ODD_TEXTS, "imdb")
        assert all(0 < each.scores["positive"] < 1 for each in answers)
    with Client(served_bible.grpc) as client:
        assert all(score.bits >= 0 for score in client.score(ODD_TEXTS, "bible"))


@pytest.mark.parametrize("task", ["imdb", "bible"])
def test_a_text_of_a_megabyte_is_refused_and_others_are_not(task, request):
    served = request.getfixturevalue(f"served_{task}")
    signature = "serving_default" if task == "imdb" else "score"
    with Client(served.grpc, timeout=120) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.predict(task, {"text": ["A good film. " * 80_000]}, signature)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert client.predict(task, {"text": ["A good film."]}, signature)


def test_classify_gives_the_probabilities_of_both_classes(served_imdb):
    text = "A moving film with wonderful acting."
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "imdb", "classify"
    example = request.input.example_list.examples.add()
    example.features.feature["text"].bytes_list.value.append(text.encode())
    with grpc.insecure_channel(served_imdb.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        (classified,) = stub.Classify(request, timeout=60).result.classifications
    with Client(served_imdb.grpc) as client:
        (alone,) = client.classify_text([text], "imdb")
    assert [c.label for c in classified.classes] == ["negative", "positive"]
    scores = [c.score for c in classified.classes]
    assert scores == pytest.approx(list(alone.scores.values()), abs=1e-5)
    body = {"signature_name": "classify", "examples": [{"text": text}]}
    status, answer = _rest(served_imdb, "/v1/models/imdb:classify", body)
    assert status == 200
    assert answer["results"][0][1] == [
        "positive",
        pytest.approx(alone.scores["positive"], abs=1e-5),
    ]


def test_generation_takes_settings_and_has_defaults(served_bible):
    prompts = ["And the LORD said unto Moses,", "In the beginning"]
    with Client(served_bible.grpc, timeout=120) as client:
        first = client.generate(prompts, "bible", max_new_tokens=12, seed=5)
        assert first == client.generate(prompts, "bible", max_new_tokens=12, seed=5)
        assert first != client.generate(prompts, "bible", max_new_tokens=12, seed=6)
        assert all(0 < c.tokens <= 12 and c.log_probability < 0 for c in first)
        (alone,) = client.generate(prompts[1:], "bible", max_new_tokens=12, seed=5)
        assert alone.text == first[1].text
    body = {"instances": prompts}
    status, answer = _rest(served_bible, "/v1/models/bible:predict", body)
    assert status == 200
    assert all(0 < row["tokens"] <= 100 for row in answer["predictions"])
    with Client(served_bible.grpc) as client, pytest.raises(grpc.RpcError) as caught:
        client.generate(prompts, "bible", max_new_tokens=10**6)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_embeddings_have_the_models_width(served_imdb, served_bible):
    for task, served in (("imdb", served_imdb), ("bible", served_bible)):
        with Client(served.grpc) as client:
            one, two = client.embed(["A film.", "And God said"], task)
        assert len(one) == len(two) > 8
        assert one != two


def test_its_memory_does_not_grow_with_requests(served_imdb, reviews):
    def resident():
        with urllib.request.urlopen(f"http://{served_imdb.rest}/metrics") as page:
            lines = page.read().decode().splitlines()
        (line,) = [x for x in lines if x.startswith("process_resident_memory_bytes ")]
        return float(line.split()[1])

    with Client(served_imdb.grpc) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: client.classify_text([text], "imdb"), reviews * 2))
        before = resident()
        list(pool.map(lambda text: client.classify_text([text], "imdb"), reviews * 8))
    assert resident() < 1.15 * before


def test_sigterm_ends_it_with_exit_code_0(imdb):
    with _served(imdb, "imdb") as served:
        taken = served.grpc.rpartition(":")[2]
        other = imdb("serve", "imdb", "--builtin", "--grpc-port", taken, "--rest-port", "0")
        assert other.returncode == 1
        assert f"127.0.0.1:{taken}: cannot listen there" in other.stderr
        assert len(other.stderr.splitlines()) == 1
        served.process.send_signal(signal.SIGTERM)
        out, _ = served.process.communicate(timeout=60)
        assert served.process.returncode == 0
        assert "stopping" in out
