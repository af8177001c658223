"""Joint training by several workers: the processes that $TF_CONFIG names.

The run's Trainer is the chief. It writes a job with all that the other workers need into the
folder of the training's checkpoints, which they share:

    runs/checkpoints/<task>/<key>/job.safetensors

Each worker trains in a new process, as TensorFlow can join other workers only when a process
starts. Only the chief writes checkpoints and logs. If a worker is lost, training stops on all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import tensorflow as tf

from data.errors import UserError
from data.files import write_whole
from pipeline import interrupts
from pipeline.training.checkpoints import FROM_NOTHING, Checkpoints
from pipeline.training.child_process import die_with_parent, only_python_on_stderr
from pipeline.training.inputs import Inputs, Labelled, depend_on_seed, prepare
from pipeline.training.loop import fit
from pipeline.training.shard_exchange import ShardExchange, is_loss
from pipeline.training.workers import Workers

JOB_FILE = "job.safetensors"
# Environment variable: seconds that the chief waits for the other workers.
PATIENCE = "TF_MAMBA_WAIT_FOR_WORKERS"
_PATIENCE = 600.0


def lead(
    workers: Workers,
    inputs: Inputs,
    model: Any,
    *,
    checkpoints: Checkpoints,
    log_folder: str,
    code_sha256: str,
) -> dict[str, Any]:
    """Trains `model` as the chief, together with the other workers; returns `fit`'s summary.

    Args:
        code_sha256: of this process's training code, which all workers must share.

    Raises:
        UserError: if a worker does not join in time, is lost, or differs from this one, or if
            training fails. Run again with all workers, training resumes from its last
            checkpoint.
    """
    workers.check_leads(inputs.task.name)
    checkpoints.load()  # removes a damaged one before other workers read it
    job = checkpoints.folder / JOB_FILE
    _write(job, inputs, _variables(model))
    try:
        summary, arrays = _in_a_process(workers, job, log_folder, code_sha256)
    finally:
        job.unlink(missing_ok=True)
    for variable, array in zip(_variables(model), arrays, strict=True):
        variable.assign(array)
    return summary


def follow(workers: Workers, job: Path, code_sha256: str) -> dict[str, Any]:
    """Takes part in a job's training as a worker other than the chief.

    Arguments, return value and errors are as those of `lead`.
    """
    with tempfile.TemporaryDirectory() as log_folder:
        summary, _ = _in_a_process(workers, job, log_folder, code_sha256)
    return summary


def waiting_job(folder: Path, workers: Workers) -> Path | None:
    """The job of a chief that is waiting now, in the folder of a task's trainings; else None.

    A job that a killed chief left does not count: nothing listens at the chief's address.
    """
    jobs = sorted(folder.glob(f"*/{JOB_FILE}"))
    return jobs[0] if jobs and not workers.unreachable([0]) else None


def _write(job: Path, inputs: Inputs, variables: list[Any]) -> None:
    arrays = {f"variable/{i:04d}": np.array(v) for i, v in enumerate(variables)}
    for split, (texts, labels) in (("train", inputs.train), ("held_out", inputs.held_out)):
        arrays[f"{split}/tokens"] = np.concatenate(texts)
        arrays[f"{split}/lengths"] = np.array([len(text) for text in texts], np.int64)
        arrays[f"{split}/labels"] = labels
    for other in job.parent.parent.glob(f"*/{JOB_FILE}"):  # of a chief that was killed
        other.unlink()
    write_whole(job, safetensors.numpy.save(arrays, {"facts": json.dumps(inputs.facts())}))


def _read(content: bytes) -> tuple[Inputs, list[np.ndarray]]:
    """The inputs, and the first values of the model's variables."""
    size = int.from_bytes(content[:8], "little")  # of the header, see safetensors' format
    facts = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["facts"])
    arrays = safetensors.numpy.load(content)

    def labelled(split: str) -> Labelled:
        borders = np.cumsum(arrays[f"{split}/lengths"])[:-1]
        return np.split(arrays[f"{split}/tokens"], borders), arrays[f"{split}/labels"]

    inputs = Inputs.from_facts(facts, labelled("train"), labelled("held_out"))
    return inputs, [arrays[k] for k in sorted(arrays) if k.startswith("variable")]


def _in_a_process(
    workers: Workers, job: Path, log_folder: str, code_sha256: str
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Trains in a new process; returns `fit`'s summary and the values of the model's variables."""
    spawn = multiprocessing.get_context("spawn")  # a fork of TensorFlow's threads would hang
    ours, theirs = spawn.Pipe()
    arguments = (theirs, workers, job, log_folder, code_sha256)
    process = spawn.Process(target=_work, args=arguments, daemon=True)
    with interrupts.kept_from_children():
        process.start()
    theirs.close()
    patience = float(os.environ.get(PATIENCE) or _PATIENCE)
    try:
        if not ours.poll(patience):
            missing = ", ".join(map(workers.name, workers.unreachable())) or "another worker"
            raise UserError(
                f"training on {len(workers.names)} workers: {missing} did not join within"
                f" {patience:g} s; start `tf-mamba worker {job.parent.parent.name}` there with"
                " its TF_CONFIG and the same root folder, then run this again"
            )
        while True:
            kind, *content = ours.recv()
            if kind == "user error":
                raise UserError(*content)
            if kind == "error":
                raise RuntimeError(*content)
            if kind == "done":
                return content[0], content[1]
    except EOFError:
        raise UserError(
            f"training on {len(workers.names)} workers: the training process here was killed;"
            f" {_again(Checkpoints(job.parent, read_only=True))}"
        ) from None
    finally:
        process.kill()
        process.join()


def _work(connection: Connection, *arguments: Any) -> None:
    """Main function of the training process.

    Exits at once at its end, as TensorFlow's regular shutdown waits for the other workers.
    """
    die_with_parent()
    only_python_on_stderr()
    try:
        connection.send(("done", *_train(connection, *arguments)))
    except UserError as error:
        connection.send(("user error", str(error)))
    except Exception as error:
        if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
            traceback.print_exc()
        connection.send(("error", f"{type(error).__name__}: {error}"))
    os._exit(0)


def _train(
    connection: Connection, workers: Workers, job: Path, log_folder: str, code_sha256: str
) -> tuple[dict[str, Any], list[np.ndarray]]:
    os.environ.pop(FROM_NOTHING, None)  # the chief has already deleted the checkpoints
    content = job.read_bytes()
    checkpoints = Checkpoints(job.parent, read_only=not workers.leads)
    with _losses_explained(workers, checkpoints):
        exchange = ShardExchange(workers)
        inputs, first = _read(content)
        depend_on_seed(inputs.seed)
        _check_alike(
            exchange,
            workers,
            {
                "code or libraries": code_sha256,
                "job": hashlib.sha256(content).hexdigest(),
                "last checkpoint": str(checkpoints.latest()),
                # Matrix products sum in an order that depends on it.
                "number of usable cores": str(len(os.sched_getaffinity(0))),
            },
        )
        connection.send(("joined",))
        model, batches, held_out = prepare(inputs)
        for variable, array in zip(_variables(model), first, strict=True):
            variable.assign(array)
        summary = fit(
            model,
            batches,
            inputs.training,
            checkpoints=checkpoints,
            log_folder=log_folder,
            held_out=held_out,
            to_texts=inputs.to_texts,
            spread=exchange,
        )
        arrays = [np.array(v) for v in _variables(model)]
        weights = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
        # Also keeps each worker until all are done.
        _check_alike(exchange, workers, {"trained model": weights})
    return summary, arrays


@contextlib.contextmanager
def _losses_explained(workers: Workers, checkpoints: Checkpoints) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        if not is_loss(error):
            raise
        gone = ", ".join(map(workers.name, workers.unreachable()))
        raise UserError(
            f"training on {len(workers.names)} workers:"
            f" {f'lost {gone}' if gone else 'another worker no longer answers'};"
            f" {_again(checkpoints)}"
        ) from None


def _again(checkpoints: Checkpoints) -> str:
    last = checkpoints.latest()
    step = int(last.name.split("-")[0]) if last else 0
    return "run this again, with all workers" + (f"; it resumes from step {step}" if step else "")


def _check_alike(exchange: ShardExchange, workers: Workers, facts: dict[str, str]) -> None:
    """Raises a UserError if a worker differs from the chief in one of the facts."""
    digests = [hashlib.sha256(fact.encode()).digest()[:8] for fact in facts.values()]
    all_ = exchange.gather(tf.constant(np.frombuffer(b"".join(digests), np.int32))).numpy()
    for i, name in enumerate(facts):
        of_fact = all_[:, 2 * i : 2 * i + 2]
        for rank in range(len(all_)):
            if (of_fact[rank] != of_fact[0]).any():
                raise UserError(
                    f"{workers.name(rank)}: expected the same {name} as {workers.name(0)};"
                    " otherwise the result would differ from that of a single worker"
                )


def _variables(model: Any) -> list[Any]:
    return [*model.trainable_variables, *model.non_trainable_variables]
