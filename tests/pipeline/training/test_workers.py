import json
import re
import socket

import pytest

from data.errors import UserError
from pipeline.presets import preset
from pipeline.settings import with_settings
from pipeline.training.workers import Workers


def from_config(monkeypatch, cluster, kind="worker", index=0):
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    return Workers.from_environment()


def test_without_other_workers_there_are_none(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert Workers.from_environment() is None
    assert from_config(monkeypatch, {"worker": ["a:1"]}) is None
    assert from_config(monkeypatch, {}) is None


def test_the_chief_is_the_one_that_is_called_so_or_the_first_worker(monkeypatch):
    named = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    chief = from_config(monkeypatch, named, "chief")
    assert chief.leads
    assert chief.addresses == ("a:1", "b:1", "c:1")
    last = from_config(monkeypatch, named, "worker", 1)
    assert (last.rank, last.leads, last.name(2)) == (2, False, "worker 1 (c:1)")
    assert from_config(monkeypatch, {"worker": ["a:1", "b:1"]}).leads


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ("{", "expected JSON, got '{'"),
        ("[1]", 'expected {"cluster": {...}, "task": {...}}'),
        ('{"cluster": []}', 'expected {"cluster": {...}, "task": {...}}'),
        ({"worker": "a:1"}, "cluster: worker: expected a list of HOST:PORT, got"),
        ({"worker": ["a:1", "b"]}, "cluster: worker: expected a list of HOST:PORT, got"),
        ({"worker": ["a:1", "b:0"]}, "cluster: worker: expected a list of HOST:PORT, got"),
        ({"worker": ["a:1", "a:1"]}, "a different address for each worker"),
        ({"worker": ["a:1"], "ps": ["b:1"]}, "got 'ps'; there are no parameter servers"),
        (
            {"chief": ["a:1"], "worker": ["b:1"]},
            "expected type and index of one of chief 0, worker 0, got",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_with_what_was_expected(monkeypatch, config, error):
    if isinstance(config, dict):
        config = json.dumps({"cluster": config, "task": {"type": "worker", "index": 2}})
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UserError, match=rf"TF_CONFIG: .*{re.escape(error)}"):
        Workers.from_environment()


def test_more_workers_than_parts_of_a_batch_are_refused(monkeypatch):
    workers = from_config(monkeypatch, {"worker": ["a:1", "b:1", "c:1"]})
    bible = preset("bible", "smoke")
    workers.check_shares(bible)
    with pytest.raises(UserError, match="3 workers, but a batch of 5 rows is split into 2 parts"):
        workers.check_shares(with_settings(bible, ["training.batch=5"]))
    imdb = with_settings(preset("imdb", "smoke"), ["training.buckets=50x2,100x3"])
    with pytest.raises(UserError, match="3 workers, but a batch of 3 rows is split into 1 parts"):
        workers.check_shares(imdb)


def test_who_does_not_listen_is_unreachable(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in (bound, server, bound)]
        addresses[0] = "127.0.0.1:1"
        workers = from_config(monkeypatch, {"worker": addresses})
        assert workers.unreachable() == [2]
        assert workers.unreachable([1]) == []
