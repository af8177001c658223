import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from data.errors import UserError
from pipeline.presets import preset
from pipeline.settings import with_settings
from pipeline.training import joint as joint_training
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.inputs import Inputs, prepare
from pipeline.training.shard_exchange import ShardExchange
from pipeline.training.workers import Workers


class _Recorded(Exception):
    pass


class _InOneProcess(ShardExchange):
    """One of several workers whose vectors are gathered without a network."""

    def __init__(self, workers, rank):
        self._workers = Workers(
            tuple(f"worker {i}" for i in range(workers)), ("a:1",) * workers, rank
        )
        self.vectors = None

    def gather(self, vector):
        self.vector = vector
        if self.vectors is None:
            raise _Recorded
        return tf.stack(self.vectors)


@pytest.mark.parametrize(("workers", "shards"), [(2, 4), (3, 4), (2, 1), (4, 4)])
def test_every_worker_gets_the_results_of_all_shards_as_they_are(workers, shards):
    random = np.random.default_rng(1)
    result = lambda rows: (  # noqa: E731
        [random.normal(size=(3, 2)).astype("f"), random.normal(size=5).astype("f")],
        (np.float32(random.normal()), np.float32(-0.0)),
        (random.normal(size=(1, rows, 4)).astype("f"),) if rows else None,
    )
    results = [
        tf.nest.map_structure(lambda x: None if x is None else tf.constant(x), result(rows))
        for rows in (2, 3, 2, 0)[:shards]
    ]
    group, computed = [_InOneProcess(workers, rank) for rank in range(workers)], []

    def compute(i):
        computed.append(i)
        return results[i]

    for worker in group:
        with pytest.raises(_Recorded):
            worker(compute, results)
    assert computed == list(range(shards))
    for worker in group:
        worker.vectors = [each.vector for each in group]
        for ours, expected in zip(worker(compute, results), results, strict=True):
            tf.nest.assert_same_structure(ours, expected)
            for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True):
                assert (a is None and b is None) or a.numpy().tobytes() == b.numpy().tobytes()


@pytest.fixture
def inputs(genesis):
    settings = ["model.d_model=8", "model.d_state=2", "training.window=16", "training.steps=4"]
    config = with_settings(preset("bible", "smoke"), settings)
    return Inputs(
        task=config.task,
        seed=config.seed,
        model=dataclasses.replace(config.model, vocabulary_size=80),
        training=config.training,
        pretraining=False,
        vocabulary=[chr(ord("!") + i) for i in range(80)],
        train=([genesis[:400], genesis[400:600]], np.empty(0)),
        held_out=([genesis[700:720], genesis[800:850]], np.empty(0)),
    )


def lead(workers, inputs, folder):
    model, *_ = prepare(inputs)
    return joint_training.lead(
        workers,
        inputs,
        model,
        checkpoints=Checkpoints(folder / "key"),
        log_folder=str(folder / "log"),
        code_sha256="c0de",
    )


def test_a_worker_that_does_not_join_is_named(inputs, tmp_path, monkeypatch):
    monkeypatch.setenv(joint_training.PATIENCE, "0.5")
    workers = Workers(("worker 0", "worker 1"), ("127.0.0.1:1", "127.0.0.1:2"), 0)
    with pytest.raises(
        UserError, match=r"worker 1 \(127\.0\.0\.1:2\) did not join within 0.5 s; start"
    ):
        lead(workers, inputs, tmp_path / "bible")
    assert not list(tmp_path.glob("bible/*/job*"))


def test_a_job_holds_all_inputs_of_the_training(inputs, tmp_path):
    job = tmp_path / "bible" / "key" / joint_training.JOB_FILE
    model, *_ = prepare(inputs)
    joint_training._write(job, inputs, joint_training._variables(model))
    again, variables = joint_training._read(job.read_bytes())
    assert again.sha256() == inputs.sha256()
    assert (again.task, again.model, again.training) == (inputs.task, inputs.model, inputs.training)
    assert len(variables) == len(joint_training._variables(model))


def test_a_worker_that_differs_from_the_chief_is_named_with_what_differs():
    group = [_InOneProcess(3, rank) for rank in range(3)]
    facts = [{"code": "1", "job": "a"}, {"code": "1", "job": "a"}, {"code": "1", "job": "b"}]

    def check(of):
        for worker, own in zip(group, of, strict=True):
            worker.vectors = None
            with pytest.raises(_Recorded):
                joint_training._check_alike(worker, worker._workers, own)
        for worker, own in zip(group, of, strict=True):
            worker.vectors = [each.vector for each in group]
            joint_training._check_alike(worker, worker._workers, own)

    check([facts[0]] * 3)
    with pytest.raises(UserError, match=r"worker 2 \(a:1\): expected the same job as worker 0"):
        check(facts)
