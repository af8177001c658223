"""Finds TensorFlow Serving, as a binary on PATH or an image in docker, and builds its command.

Nothing is downloaded: docker is used only if its engine runs and has the image.
"""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BINARY = "tensorflow_model_server"
IMAGE = "tensorflow/serving"
DOCKER_FAILED = 125  # exit code of `docker run` if docker itself failed, not the container
_GRPC, _REST = 8500, 8501  # ports in the container
_DOCKER_SECONDS = 5.0  # for a docker command, which takes 0.1 s


@dataclass(frozen=True)
class Served:
    """The model to serve, and the addresses.

    Attributes:
        name: the model's name in requests.
        folder: contains the model's versions; if `version` is given, that version's own folder.
        version: the number of the only version to serve; None: all in `folder`.
        host: address on which docker publishes the ports; the binary listens on all addresses.
        grpc_port, rest_port: ports on this machine.
        arguments: further arguments of tensorflow_model_server, also in docker.
    """

    name: str
    folder: Path
    grpc_port: int
    rest_port: int
    version: int | None = None
    host: str = "127.0.0.1"
    arguments: Sequence[str] = ()


def binary() -> str | None:
    """The binary's path; None if it is not on PATH."""
    return shutil.which(BINARY)


def binary_command(path: str, served: Served) -> list[str]:
    """The command line of the binary, which serves only a folder of versions."""
    assert served.version is None
    return [
        path,
        f"--port={served.grpc_port}",
        f"--rest_api_port={served.rest_port}",
        f"--model_base_path={served.folder}",
        f"--model_name={served.name}",
        *served.arguments,
    ]


def docker_lacks() -> str | None:
    """Why docker cannot serve; None if it can.

    Takes 0.1 seconds, or a few seconds if docker's engine hangs.
    """
    if shutil.which("docker") is None:
        return "docker is not on PATH"
    engine = _ask_docker("version", "--format", "{{.Server.Version}}")
    if engine is not None:
        return f"docker's engine does not run or answer: {engine}"
    if _ask_docker("image", "inspect", "--format", "{{.Id}}", IMAGE) is not None:
        return f"docker has no image {IMAGE} (docker pull {IMAGE})"
    return None


def docker_command(served: Served, container: str | None = None) -> list[str]:
    """The command line of `docker run`, in the foreground.

    Args:
        container: the container's name, for `stop_container`; None: docker chooses one.
    """
    version = "" if served.version is None else f"/{served.version}"
    target = f"target=/models/{served.name}{version}"
    mount = io.StringIO()  # CSV, which quotes commas
    csv.writer(mount, lineterminator="").writerow(
        ["type=bind", f"source={served.folder}", target, "readonly"]
    )
    return [
        "docker",
        "run",
        "--rm",
        "--init",
        "--pull=never",
        *([f"--name={container}"] if container else []),
        f"--publish={served.host}:{served.grpc_port}:{_GRPC}",
        f"--publish={served.host}:{served.rest_port}:{_REST}",
        f"--mount={mount.getvalue()}",
        f"--env=MODEL_NAME={served.name}",
        IMAGE,
        *served.arguments,
    ]


def stop_container(container: str) -> str | None:
    """Stops and removes a container; returns why that may have failed, or None."""
    failure = _ask_docker("rm", "--force", container)
    # A container that ended by itself is removed already, or is being removed.
    gone = failure is None or "No such container" in failure or "already in progress" in failure
    return None if gone else failure


def _ask_docker(*arguments: str) -> str | None:
    """Runs a docker command; returns one line about its failure, or None."""
    command = ["docker", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_DOCKER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer in {_DOCKER_SECONDS:g} s"
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else f"exit {done.returncode}"
