"""TensorFlow Serving on this machine: its binary on PATH, or its image in docker.

Whether one is there, and the command that starts it. Nothing is downloaded: docker counts only
if its engine runs and has the image.
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
DOCKER_FAILED = 125  # exit code of `docker run` where docker, not the container, failed
_GRPC, _REST = 8500, 8501  # ports in the container
_DOCKER_SECONDS = 5.0  # for an answer of docker's, which takes 0.1


@dataclass(frozen=True)
class Served:
    """What is to be served, and where.

    Attributes:
        name: the model's, in requests.
        folder: of its versions; or one version, if `version` is given.
        version: of `folder`, if that is one.
        host: address on which docker publishes the ports; the binary listens on all addresses.
        grpc_port, rest_port: on this machine.
        arguments: more of them for the binary, in docker too.
    """

    name: str
    folder: Path
    grpc_port: int
    rest_port: int
    version: int | None = None
    host: str = "127.0.0.1"
    arguments: Sequence[str] = ()


def binary() -> str | None:
    """The binary's path; None where it is not on PATH."""
    return shutil.which(BINARY)


def binary_command(path: str, served: Served) -> list[str]:
    """The command line that serves by the binary; it takes a folder of versions only."""
    assert served.version is None
    return [
        path,
        f"--port={served.grpc_port}",
        f"--rest_api_port={served.rest_port}",
        f"--model_base_path={served.folder}",
        f"--model_name={served.name}",
        *served.arguments,
    ]


def docker_lacks(image: str = IMAGE) -> str | None:
    """Why docker cannot serve; None where it can.

    Takes a tenth of a second, or up to some seconds where docker's engine hangs.
    """
    if shutil.which("docker") is None:
        return "docker is not on PATH"
    engine = _ask_docker("version", "--format", "{{.Server.Version}}")
    if engine is not None:
        return f"docker's engine does not run, or does not answer: {engine}"
    if _ask_docker("image", "inspect", "--format", "{{.Id}}", image) is not None:
        return f"docker has no image {image} (docker pull {image})"
    return None


def docker_command(served: Served, container: str | None = None) -> list[str]:
    """The command line that serves by docker, in the foreground.

    Args:
        container: its name, by which `stop_container` finds it; None: docker makes up one.
    """
    version = "" if served.version is None else f"/{served.version}"
    mount = (
        "type=bind",
        f"source={served.folder}",
        f"target=/models/{served.name}{version}",
        "readonly",
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
        f"--mount={_csv(mount)}",
        f"--env=MODEL_NAME={served.name}",
        IMAGE,
        *served.arguments,
    ]


def stop_container(container: str) -> str | None:
    """Ends and removes a container; returns why it may go on, None if it is gone."""
    failure = _ask_docker("rm", "--force", container)
    # One that had ended by itself is removed already, or being removed.
    gone = failure is None or "No such container" in failure or "already in progress" in failure
    return None if gone else failure


def _ask_docker(*arguments: str) -> str | None:
    """None if docker did it; else why not, in a line."""
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


def _csv(fields: Sequence[str]) -> str:
    """As docker's --mount takes its fields: quoted where one has a comma."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()
