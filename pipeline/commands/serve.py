"""`tf-mamba serve`: starts TensorFlow Serving if it is installed, otherwise the built-in server."""

from __future__ import annotations

import argparse
import ipaddress
import os
import shlex
import sys
from pathlib import Path

from data.errors import UserError
from pipeline import interrupts
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow
from serving import tensorflow_serving


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_task(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument("--grpc-port", type=int, default=8500, help="(default: 8500)")
    parser.add_argument("--rest-port", type=int, default=8501, help="(default: 8501)")
    parser.add_argument(
        "--builtin",
        action="store_true",
        help="use the built-in server even if TensorFlow Serving is installed",
    )
    parser.add_argument("--no-batching", action="store_true", help="run each request alone")
    built_in = parser.add_argument_group("built-in server only")
    for name, default, text in (
        ("--max-batch-size", 32, "rows of a batch"),
        ("--batch-timeout-micros", 1000, "how long a request waits for others at most"),
        (
            "--max-enqueued-batches",
            16,
            "queue of each signature; when full: RESOURCE_EXHAUSTED or 429",
        ),
        ("--max-in-flight", 256, "requests in the server; more get RESOURCE_EXHAUSTED or 429"),
        ("--max-request-bytes", 16 << 20, "larger requests get RESOURCE_EXHAUSTED or 413"),
    ):
        built_in.add_argument(name, type=int, default=default, help=f"{text} (default: {default})")
    built_in.add_argument(
        "--rest-timeout", type=float, default=30.0, help="seconds per REST request (default: 30)"
    )
    for name, text in (
        ("--tls-cert", "PEM certificate, with those that signed it: gRPC and REST by TLS only"),
        ("--tls-key", "PEM key of the certificate, without a password"),
        ("--token-file", "file with the token that clients send as 'authorization: Bearer TOKEN'"),
    ):
        built_in.add_argument(name, type=Path, metavar="FILE", help=text)


def run(options: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code."""
    check(options)
    if command := model_server_command(options):
        run_model_server(command, options)
    import_tensorflow(options.debug)
    return run_built_in(options)


def model_server_command(options: argparse.Namespace) -> list[str] | None:
    """The command line of TensorFlow Serving; None if it is not installed or --builtin is given.

    Raises:
        UserError: if no model was pushed, there is no such task, or TensorFlow Serving is installed
            and TLS or a token is asked for.
    """
    folder = _folder(options)
    if options.builtin:
        return None
    # Its batching needs the same number of rows in every input, which excludes defaults.
    has_defaults = shared.task(options).task.kind == "next-token"
    batching = not options.no_batching and not has_defaults
    served = tensorflow_serving.Served(
        name=options.task,
        folder=folder,
        grpc_port=options.grpc_port,
        rest_port=options.rest_port,
        host=options.host,
        arguments=("--enable_batching",) if batching else (),
    )
    if binary := tensorflow_serving.binary():
        command = tensorflow_serving.binary_command(binary, served)
    elif tensorflow_serving.docker_lacks() is None:
        command = tensorflow_serving.docker_command(served)
    else:
        return None
    for name in ("tls_cert", "token_file"):
        if getattr(options, name):
            raise UserError(
                f"{shared.flag(name)}: TensorFlow Serving is installed and has no such option; add"
                " --builtin"
            )
    return command


def run_model_server(command: list[str], options: argparse.Namespace) -> None:
    """Prints TensorFlow Serving's command, and replaces this process by it.

    Raises:
        UserError: if it would listen on more addresses than --host.
    """
    if command[0] != "docker" and _is_loopback(options.host):
        raise UserError(
            f"{command[0]} listens on all addresses, and --host is {options.host}:"
            f" give --host 0.0.0.0, or --builtin. Its command: {shlex.join(command)}"
        )
    print(shlex.join(command), flush=True)
    interrupts.replace_process(command)


def run_built_in(options: argparse.Namespace) -> int:
    """Runs the built-in server until SIGTERM or SIGINT.

    Raises:
        UserError: if it cannot start.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it also raises the errors that it logs
    from serving import access, server
    from serving.batching import BatchingParameters
    from serving.errors import CannotServe

    batching = BatchingParameters(
        options.max_batch_size, options.batch_timeout_micros, options.max_enqueued_batches
    )
    try:
        tls = access.read_tls(options.tls_cert, options.tls_key) if options.tls_cert else None
        token = access.read_token(options.token_file) if options.token_file else None
    except CannotServe as error:
        raise UserError(str(error)) from error
    if not _is_loopback(options.host) and not (tls and token):
        print(_open_to_others(options.host, bool(tls), bool(token)), file=sys.stderr, flush=True)
    settings = server.ServerOptions(
        folder=_folder(options),
        host=options.host,
        grpc_port=options.grpc_port,
        rest_port=options.rest_port,
        batching=None if options.no_batching else batching,
        threads=2 * options.max_batch_size,
        max_in_flight=options.max_in_flight,
        max_request_bytes=options.max_request_bytes,
        rest_timeout=options.rest_timeout,
        tls=tls,
        token=token,
    )
    try:
        server.run(settings, lambda line: print(line, flush=True))
    except CannotServe as error:
        raise UserError(str(error)) from error
    return 0


def check(options: argparse.Namespace) -> None:
    """Raises UserError if a number is out of range, or a certificate or key lacks the other."""
    for name, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if getattr(options, name) and not getattr(options, other):
            raise UserError(f"{shared.flag(name)}: give {shared.flag(other)} too")
    for name in ("max_batch_size", "max_enqueued_batches", "max_in_flight", "max_request_bytes"):
        _at_least(name, getattr(options, name), 1)
    _at_least("batch_timeout_micros", options.batch_timeout_micros, 0)
    for name in ("grpc_port", "rest_port"):
        if not 0 <= getattr(options, name) <= 65535:
            raise UserError(
                f"{shared.flag(name)}: expected 0 to 65535, got {getattr(options, name)}"
            )
    if not options.rest_timeout > 0:
        raise UserError(f"--rest-timeout: expected more than 0, got {options.rest_timeout}")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"{shared.flag(name)}: expected {least} or more, got {value}")


def _folder(options: argparse.Namespace) -> Path:
    from pipeline.pushed_models.model import latest_version

    # The server itself passes over a damaged version.
    return latest_version(options.root / "serving_models", options.task).parent.absolute()


def _open_to_others(host: str, tls: bool, token: bool) -> str:
    lacks = []
    if not token:
        lacks.append("anyone who reaches it can use it (--token-file FILE asks for a token)")
    if not tls:
        lacks.append("what it sends can be read on the way (--tls-cert FILE --tls-key FILE)")
    return f"warning: --host {host} listens beyond this machine: {'; '.join(lacks)}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
