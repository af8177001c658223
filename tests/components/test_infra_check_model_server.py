"""InfraCheck compares TensorFlow Serving's answers, by its binary or in docker."""

import json
import re
import sys
import time
from pathlib import Path

import pytest
from tiny_exports import SIGNATURES, save

from components.infra_check import executor, model_server, probe
from serving import tensorflow_serving

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """An export, and the probe's answers."""
    folder = tmp_path_factory.mktemp("probed")
    export, answers = save(folder / "model"), folder / "answers"
    options = {"model": str(export), "signatures": SIGNATURES, "answers": str(answers)}
    with pytest.MonkeyPatch.context() as patch, (folder / "report").open("w") as stream:
        patch.setattr(probe, "_LATENCY_SECONDS", 0.0)
        probe.Probe(options, stream).run()
    assert executor._read(folder, 0, 300).findings == []
    return export, answers


@pytest.fixture
def ask(probed, tmp_path):
    """Checks the model server on PATH; returns the outcome."""

    def asked():
        folder = tmp_path / f"folder-{len(list(tmp_path.glob('folder-*')))}"
        folder.mkdir()
        return model_server.check(*probed, folder, time.monotonic() + 300)

    return asked


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program that runs a shell line on an otherwise empty PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name, line):
        file = folder / name
        file.write_text(f"#!/bin/sh\n{line}\n")
        file.chmod(0o755)
        return str(file)

    return put


class Docker:
    """The folder of the fake docker, see small_docker.py."""

    def __init__(self, folder):
        self.folder = folder

    def has(self, name, text=""):
        (self.folder / name).write_text(text)

    def calls(self, command):
        lines = (self.folder / "calls").read_text().splitlines()
        return [call for call in map(json.loads, lines) if call[0] == command]

    def containers(self):
        return list(self.folder.glob("containers/*"))


@pytest.fixture
def docker(program, tmp_path, monkeypatch):
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("SMALL_DOCKER", str(folder))
    program("docker", f'exec {sys.executable} {HERE / "small_docker.py"} "$@"')
    return Docker(folder)


@pytest.mark.slow
def test_the_binary_on_path_must_answer_the_same(ask, program, monkeypatch):
    small = HERE / "small_model_server.py"
    binary = program("tensorflow_model_server", f'exec {sys.executable} {small} "$@"')
    assert ask() == model_server.Outcome(binary, [])
    monkeypatch.setenv("WRONG_ANSWERS", "1")
    assert ask().findings == [
        f"{name}: output scores differs from TensorFlow's" for name in SIGNATURES
    ]
    program("tensorflow_model_server", "echo no such op >&2; exit 3")
    assert ask().findings == ["it ended with exit 3: no such op"]


@pytest.mark.slow
def test_the_image_in_docker_must_answer_the_same(ask, docker, probed, monkeypatch):
    monkeypatch.setenv("WRONG_ANSWERS", "1")  # the right ones are tested with the binary
    assert ask() == model_server.Outcome(
        "docker: tensorflow/serving",
        [f"{name}: output scores differs from TensorFlow's" for name in SIGNATURES],
    )
    (run,) = docker.calls("run")
    name, grpc, rest = (argument.partition("=")[2] for argument in run[4:7])
    assert run == [
        "run",
        "--rm",
        "--init",
        "--pull=never",  # no download
        f"--name={name}",
        f"--publish=127.0.0.1:{grpc.split(':')[1]}:8500",
        f"--publish=127.0.0.1:{rest.split(':')[1]}:8501",
        f"--mount=type=bind,source={probed[0]},target=/models/infra_check/1,readonly",
        "--env=MODEL_NAME=infra_check",
        "tensorflow/serving",
    ]
    assert name.startswith("tf-mamba-infra-check-")
    assert docker.calls("rm") == [["rm", "--force", name]]
    assert docker.containers() == []


@pytest.mark.slow
def test_a_container_is_stopped_at_the_time_limit_and_when_the_check_is_interrupted(
    ask, docker, monkeypatch
):
    wait = model_server._wait_until_ready

    def once_there(then):
        def waited(channel, server, deadline):
            while not docker.containers():
                time.sleep(0.01)
            return then(channel, server, deadline)

        monkeypatch.setattr(model_server, "_wait_until_ready", waited)

    once_there(lambda channel, server, _: wait(channel, server, time.monotonic() + 0.3))
    (finding,) = ask().findings  # before TensorFlow is imported
    assert finding.startswith("it did not load the model within the time limit")
    assert len(docker.calls("run")) == len(docker.calls("rm")) == 1
    assert docker.containers() == []

    def interrupt(*_):
        raise KeyboardInterrupt

    once_there(interrupt)
    with pytest.raises(KeyboardInterrupt):
        ask()
    assert len(docker.calls("rm")) == 2
    assert docker.containers() == []


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ("no_engine", r"docker's engine does not run or answer: Cannot connect to the "),
        ("no_image", r"docker has no image tensorflow/serving \(docker pull tensorflow/serving\)"),
    ],
)
def test_without_docker_s_engine_or_image_it_says_so_and_runs_nothing(ask, docker, missing, why):
    docker.has(missing)
    started = time.monotonic()
    outcome = ask()
    assert time.monotonic() - started < 4  # two processes
    assert (outcome.asked, outcome.findings) == (None, ())
    assert re.fullmatch(f"no tensorflow_model_server is on PATH, and {why}.*", outcome.not_checked)
    assert docker.calls("run") == []


def test_a_failure_of_docker_is_no_fault_of_the_model(ask, docker, capsys):
    docker.has("fails", "docker: Error response from daemon: invalid mount config.")
    assert ask() == model_server.Outcome(
        not_checked="docker could not start tensorflow/serving:"
        " docker: Error response from daemon: invalid mount config."
    )
    assert capsys.readouterr().err == ""  # no container was left running


def test_an_engine_that_hangs_is_skipped(program, monkeypatch):
    program("docker", "exec /bin/sleep 60")
    monkeypatch.setattr(tensorflow_serving, "_DOCKER_SECONDS", 0.3)
    assert tensorflow_serving.docker_lacks() == (
        "docker's engine does not run or answer: no answer in 0.3 s"
    )


def test_a_folder_with_a_comma_is_one_field_of_the_mount():
    served = tensorflow_serving.Served("imdb", Path("/models/a, b"), 9000, 9001)
    assert (
        '--mount=type=bind,"source=/models/a, b",target=/models/imdb,readonly'
        in tensorflow_serving.docker_command(served)
    )
