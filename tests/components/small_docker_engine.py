"""A fake of docker's engine: the part of its HTTP API that TFX's InfraValidator uses.

Its containers are processes of small_model_server.py on this machine.
"""

import contextlib
import json
import re
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

IMAGE = "tensorflow/serving:latest"


@contextlib.contextmanager
def running(path, images=(IMAGE,)):
    """Yields an engine that listens on the socket at `path`."""
    with _Engine(str(path), _Api) as engine, tempfile.TemporaryDirectory() as folder:
        engine.images, engine.folder = images, Path(folder)
        engine.created, engine.requests, engine.servers = {}, [], {}
        thread = threading.Thread(target=engine.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield engine
        finally:
            for server in engine.servers.values():
                server.kill()
                server.wait()
            engine.shutdown()
            thread.join()


class _Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def start(self, container):
        """Serves the version mounted at /model/<name>/1; returns once it listens or has ended."""
        created = self.created[container]
        environment = dict(each.split("=", 1) for each in created["Env"])
        (mount,) = created["HostConfig"]["Mounts"]
        version = self.folder / container / mount["Target"].lstrip("/")
        version.parent.mkdir(parents=True)
        version.symlink_to(mount["Source"])
        base = f"{environment['MODEL_BASE_PATH']}/{environment['MODEL_NAME']}"
        created["port"] = _free_port()
        self.servers[container] = subprocess.Popen(
            [
                sys.executable,
                Path(__file__).with_name("small_model_server.py"),
                f"--port={created['port']}",
                "--rest_api_port=0",
                f"--model_name={environment['MODEL_NAME']}",
                f"--model_base_path={self.folder / container}{base}",
            ]
        )
        while self.servers[container].poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("localhost", created["port"])).close()
                return
            time.sleep(0.1)

    def inspect(self, container):
        server, ports = self.servers.get(container), {}
        if server is not None:
            port = str(self.created[container]["port"])
            ports = {"8500/tcp": [{"HostIp": "0.0.0.0", "HostPort": port}]}
        status = "created" if server is None else "running" if server.poll() is None else "exited"
        return {"Id": container, "State": {"Status": status}, "NetworkSettings": {"Ports": ports}}


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def _answer(self):
        engine = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = re.sub(r"^/v[\d.]+", "", self.path.split("?")[0])
        engine.requests.append(f"{self.command} {path}")
        match path.strip("/").split("/"):
            case ["version"]:
                return self._send(200, {"ApiVersion": "1.44", "Version": "25.0"})
            case ["images", *name, "json"]:
                if "/".join(name) in engine.images:
                    return self._send(200, {"Id": "sha256:1", "RepoTags": [IMAGE]})
                return self._send(404, {"message": f"No such image: {'/'.join(name)}"})
            case ["containers", "create"]:
                number = str(len(engine.created) + 1)
                engine.created[number] = json.loads(body)
                return self._send(201, {"Id": number, "Warnings": []})
            case ["containers", number, "start"]:
                engine.start(number)
                return self._send(204)
            case ["containers", number, "json"]:
                return self._send(200, engine.inspect(number))
            case ["containers", number, "stop"]:
                engine.servers[number].kill()
                engine.servers[number].wait()
                return self._send(204)
        return self._send(404, {"message": f"No such thing: {path}"})

    def _send(self, status, answer=None):
        body = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _free_port():
    with socket.socket() as any_port:
        any_port.bind(("localhost", 0))
        return any_port.getsockname()[1]
