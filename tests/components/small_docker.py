"""A fake of docker's command line that runs small_model_server.py; needs no engine.

It is on PATH as `docker`. The variable SMALL_DOCKER names a folder with:

    calls               the calls, one argument list as JSON per line
    containers/<name>   the process id of a running container
    no_engine, no_image if one exists, docker has no engine or no image
    fails               if it exists, docker's message when it cannot start a container

As in docker, a container continues when its client is killed.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(os.environ["SMALL_DOCKER"])
NO_ENGINE = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."


def main(arguments):
    with (FOLDER / "calls").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    if (FOLDER / "no_engine").exists():
        sys.exit(NO_ENGINE)
    command, *rest = arguments
    if command == "run":
        sys.exit(run(rest))
    if command == "rm":
        container = FOLDER / "containers" / rest[-1]
        if not container.exists():
            sys.exit(f"Error response from daemon: No such container: {rest[-1]}")
        os.killpg(int(container.read_text()), signal.SIGKILL)
        container.unlink()
    elif arguments[:2] == ["image", "inspect"] and (FOLDER / "no_image").exists():
        sys.exit(f"Error response from daemon: No such image: {arguments[-1]}:latest")


def run(arguments):
    """Serves the version mounted at /models/<name>/1, at the published ports."""
    if (FOLDER / "fails").exists():
        print((FOLDER / "fails").read_text(), file=sys.stderr)
        return 125
    given = {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        given.setdefault(name, []).append(value)
    (mount,) = given["--mount"]
    fields = dict(field.partition("=")[::2] for field in mount.split(","))
    (name,) = (env.removeprefix("MODEL_NAME=") for env in given["--env"])
    ports = {inner: outer for _, outer, inner in (p.split(":") for p in given["--publish"])}
    root = Path(tempfile.mkdtemp(dir=FOLDER))  # the container's
    version = root / fields["target"].lstrip("/")
    version.parent.mkdir(parents=True)
    version.symlink_to(fields["source"])
    server = subprocess.Popen(
        [
            sys.executable,
            Path(__file__).with_name("small_model_server.py"),
            f"--port={ports['8500']}",
            f"--rest_api_port={ports['8501']}",
            f"--model_name={name}",
            f"--model_base_path={root}/models/{name}",
        ],
        start_new_session=True,
    )
    container = FOLDER / "containers" / given["--name"][0]
    container.parent.mkdir(exist_ok=True)
    container.write_text(str(server.pid))
    return server.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
