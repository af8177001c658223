"""Which server `tf-mamba serve` runs, and the exact command."""

import os
import stat

import pytest

from data.errors import UserError
from pipeline import cli
from pipeline.commands import serve


@pytest.fixture
def root(tmp_path):
    for task in ("imdb", "bible"):
        (tmp_path / "serving_models" / task / "1").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Adds a program to an otherwise empty PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name, code):
        file = folder / name
        file.write_text(f"#!/bin/sh\nexit {code}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return str(file)

    return add


def _options(root, *arguments):
    arguments = ("serve", "--root", str(root), *arguments)
    return cli.parser(arguments).parse_args(arguments)


def test_the_binary_on_path_gets_the_model_and_the_ports(root, programs):
    binary = programs("tensorflow_model_server", 0)
    programs("docker", 0)
    options = _options(root, "imdb", "--rest-port", "9001")
    assert serve.model_server_command(options) == [
        binary,
        "--port=8500",
        "--rest_api_port=9001",
        f"--model_base_path={root}/serving_models/imdb",
        "--model_name=imdb",
        "--enable_batching",
    ]
    options = _options(root, "bible")
    assert "--enable_batching" not in serve.model_server_command(options)
    options = _options(root, "imdb", "--no-batching")
    assert "--enable_batching" not in serve.model_server_command(options)
    assert serve.model_server_command(_options(root, "imdb", "--builtin")) is None


def test_docker_serves_if_it_has_the_image(root, programs):
    programs("docker", 0)
    command = serve.model_server_command(_options(root, "imdb", "--grpc-port", "9000"))
    assert command[:5] == ["docker", "run", "--rm", "--init", "--pull=never"]
    assert "--publish=127.0.0.1:9000:8500" in command
    source = f"{root}/serving_models/imdb"
    assert f"--mount=type=bind,source={source},target=/models/imdb,readonly" in command
    assert command[-3:] == ["--env=MODEL_NAME=imdb", "tensorflow/serving", "--enable_batching"]


def test_without_either_the_built_in_server_runs(root, programs):
    assert serve.model_server_command(_options(root, "imdb")) is None
    programs("docker", 1)  # docker is installed, but lacks the image or its daemon
    assert serve.model_server_command(_options(root, "imdb")) is None


def test_the_binary_is_not_run_if_it_would_listen_on_more_than_loopback(
    root, programs, monkeypatch, capsys
):
    binary = programs("tensorflow_model_server", 0)
    options = _options(root, "imdb")
    command = serve.model_server_command(options)
    with pytest.raises(UserError, match=r"listens on all addresses.*--host 0\.0\.0\.0"):
        serve.run_model_server(command, options)
    became = []
    monkeypatch.setattr(os, "execvp", lambda *arguments: became.append(arguments))
    serve.run_model_server(command, _options(root, "imdb", "--host", "0.0.0.0"))
    assert became == [(binary, command)]
    assert capsys.readouterr().out.startswith(f"{binary} --port=8500 --rest_api_port=8501 ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grpc-port", "70000"], "--grpc-port: expected 0 to 65535, got 70000"),
        (["--max-batch-size", "0"], "--max-batch-size: expected 1 or more, got 0"),
        (["--rest-timeout", "nan"], "--rest-timeout: expected more than 0, got nan"),
    ],
)
def test_numbers_out_of_range_are_refused(root, arguments, message):
    with pytest.raises(UserError, match=message):
        serve.check(_options(root, "imdb", *arguments))


def test_without_a_pushed_model_the_error_says_how_to_get_one(tmp_path):
    with pytest.raises(UserError, match="`tf-mamba run imdb` trains and pushes one"):
        serve.model_server_command(_options(tmp_path, "imdb"))


def test_a_certificate_needs_its_key_and_the_built_in_server(root, programs):
    for given, other in (("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert")):
        with pytest.raises(UserError, match=f"{given}: give {other} too"):
            serve.check(_options(root, "imdb", given, "file.pem"))
    programs("tensorflow_model_server", 0)
    with pytest.raises(UserError, match=r"--token-file: TensorFlow Serving .* add --builtin"):
        serve.model_server_command(_options(root, "imdb", "--token-file", "token"))
    options = _options(root, "imdb", "--token-file", "token", "--builtin")
    assert serve.model_server_command(options) is None


def test_listening_beyond_this_machine_without_tls_and_token_warns(
    root, tmp_path, monkeypatch, capsys
):
    from serving import server

    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("secret\n")
    monkeypatch.setattr(server, "run", lambda *_: None)
    serve.run_built_in(_options(root, "imdb"))
    assert capsys.readouterr().err == ""
    serve.run_built_in(_options(root, "imdb", "--host", "0.0.0.0"))
    warning = capsys.readouterr().err
    assert warning.startswith("warning: --host 0.0.0.0 listens beyond this machine: anyone")
    assert "--token-file" in warning
    assert "--tls-cert" in warning
    serve.run_built_in(_options(root, "imdb", "--host", "0.0.0.0", "--token-file", str(token)))
    warning = capsys.readouterr().err
    assert "--token-file" not in warning
    assert "--tls-cert" in warning
