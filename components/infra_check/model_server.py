"""Sends the warm-up requests to TensorFlow Serving, if its binary or docker image is installed.

Its answers must match the probe's.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving import tensorflow_serving
from serving.tensorflow_serving import Served

_NAME = "infra_check"
_TOLERANCE = 1e-4  # relative and absolute; the binary's kernels may be built differently


@dataclass(frozen=True)
class Outcome:
    """The findings of a server, or the reason why there was none.

    Attributes:
        asked: path of the binary, or "docker: <image>"; None without either.
        findings: failures and differing answers of the server, one line each.
        not_checked: why no server was started; None if one was.
    """

    asked: str | None = None
    findings: Sequence[str] = ()
    not_checked: str | None = None


def check(model: Path, answers: Path, folder: Path, deadline: float) -> Outcome:
    """Checks the binary if it is on PATH, else the image if docker's engine runs and has it.

    Args:
        model: folder of the SavedModel.
        answers: TFRecord of PredictionLogs, each with the probe's answer.
        folder: for the server's log and its folder of versions.
        deadline: by `time.monotonic()`; the server is then killed.
    """
    if binary := tensorflow_serving.binary():
        base = folder / _NAME
        base.mkdir()
        (base / "1").symlink_to(model.resolve(), target_is_directory=True)
        served = Served(_NAME, base, _free_port(), _free_port())
        command = tensorflow_serving.binary_command(binary, served)
        return Outcome(binary, list(_findings(command, served, answers, folder, deadline)))
    if (lack := tensorflow_serving.docker_lacks()) is not None:
        return Outcome(not_checked=f"no {tensorflow_serving.BINARY} is on PATH, and {lack}")
    # Mounts the version itself, as a link in a folder of versions would point outside the mount.
    served = Served(_NAME, model.resolve(), _free_port(), _free_port(), version=1)
    container = f"tf-mamba-infra-check-{secrets.token_hex(6)}"
    command = tensorflow_serving.docker_command(served, container)
    try:
        found = list(_findings(command, served, answers, folder, deadline))
    except _DockerFailed as error:
        return Outcome(not_checked=f"docker could not start {tensorflow_serving.IMAGE}: {error}")
    finally:
        # A container outlives its client.
        if (failure := tensorflow_serving.stop_container(container)) is not None:
            print(f"warning: container {container} may still run: {failure}", file=sys.stderr)
    return Outcome(f"docker: {tensorflow_serving.IMAGE}", found)


class _DockerFailed(Exception):
    """Docker did not start the container; the model is not at fault."""


def _findings(
    command: Sequence[str], served: Served, answers: Path, folder: Path, deadline: float
) -> Iterator[str]:
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        # No limit of size: requests may have many rows of long texts.
        sizes = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        with grpc.insecure_channel(f"{served.host}:{served.grpc_port}", options=sizes) as channel:
            if (failure := _wait_until_ready(channel, server, deadline)) is not None:
                said = _last_line(folder / "server.log")
                if served.version and server.poll() == tensorflow_serving.DOCKER_FAILED:
                    raise _DockerFailed(said)
                yield f"{failure}: {said}"
                return
            for record in tf.data.TFRecordDataset([str(answers)]).as_numpy_iterator():
                log_of_one = prediction_log_pb2.PredictionLog.FromString(record)
                yield from _differences(channel, log_of_one, deadline)
    except grpc.RpcError as error:
        yield f"{error.code().name}: {error.details()}"
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("localhost", 0))
        return int(any_port.getsockname()[1])


def _wait_until_ready(channel: Any, server: subprocess.Popen[bytes], deadline: float) -> str | None:
    """Returns None once the model is available, else the reason why it is not."""
    import grpc
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = _NAME
    states = get_model_status_pb2.ModelVersionStatus
    while time.monotonic() < deadline:
        if server.poll() is not None:
            return f"it ended with exit {server.returncode}"
        try:
            for version in stub.GetModelStatus(request, timeout=1).model_version_status:
                if version.state == states.AVAILABLE:
                    return None
                if version.state == states.END:
                    return f"it failed to load the model: {version.status.error_message}"
        except grpc.RpcError:  # not listening yet
            pass
        time.sleep(0.1)
    return "it did not load the model within the time limit (infra_check.time_limit)"


def _differences(channel: Any, log: Any, deadline: float) -> Iterator[str]:
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    from components.infra_check.served_requests import differs

    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    kind = log.WhichOneof("log_type")
    call = {"predict_log": stub.Predict, "classify_log": stub.Classify}[kind]
    one = getattr(log, kind)
    one.request.model_spec.name = _NAME
    signature = one.request.model_spec.signature_name
    left = max(1.0, deadline - time.monotonic())
    given = _arrays(kind, call(one.request, timeout=left))
    expected = _arrays(kind, one.response)
    for name in sorted(set(given) | set(expected)):
        if name not in given or name not in expected:
            yield f"{signature}: only one side has output {name}"
        elif differs({name: given[name]}, {name: expected[name]}, _TOLERANCE):
            yield f"{signature}: output {name} differs from TensorFlow's"


def _arrays(kind: str, response: Any) -> Mapping[str, np.ndarray]:
    import tensorflow as tf

    if kind == "predict_log":
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}
    rows = response.result.classifications
    return {
        "classes": np.array([[c.label for c in row.classes] for row in rows]),
        "scores": np.array([[c.score for c in row.classes] for row in rows]),
    }


def _last_line(file: Path) -> str:
    lines = file.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "no output"
