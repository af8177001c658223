"""The probe: a process with only TensorFlow and TF Text that treats an export as a server does.

    python -I probe.py OPTIONS.json

Options: `model`, the export's folder; `signatures`, the required ones, each with the names of
its inputs; `time_limit`, seconds until the process ends itself; `report`, a file of JSON lines,
written during the checks; `answers`, a TFRecord of the warm-up requests as PredictionLogs with
their answers.

The process can import only what TensorFlow and TF Text require, and the messages of
tensorflow-serving-api, the format of the warm-up file. So this file and the modules that it
loads are run by path, and import nothing of this project.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

_PROBED = ("tensorflow", "tensorflow-text")
_ODD_TEXTS = (
    b"",
    b" \t\n ",
    b"\xff\xfe caf\xe9",  # not UTF-8
    b"a\0b",
    "\U0001f3ac\U0001f468\u200d\U0001f469\u200d\U0001f467".encode(),  # emoji, the last three joined
    "\u202e\u05e1\u05e8\u05d8 \u05d8\u05d5\u05d1".encode(),  # right to left
    b"word " * 1000,
    b"x" * 5000,
)
_MOST_BYTES = 1 << 26  # of a request with too many rows
_LATENCY_SECONDS = 1.0  # per signature
_TOLERANCE = 1e-3  # between a row alone and in a batch, as their matrix products differ


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as stream:
        options = json.load(stream)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process even inside C++ code
    signal.alarm(options["time_limit"])
    sys.meta_path.insert(0, _OnlyTensorFlow())
    with open(options["report"], "w", encoding="utf-8") as report:
        Probe(options, report).run()


class _OnlyTensorFlow:
    """Allows imports only of what TensorFlow and TF Text require, and of serving's messages."""

    def __init__(self) -> None:
        self._allowed = {"tensorflow_serving", *sys.stdlib_module_names, *sys.modules}
        waiting, seen = list(_PROBED), set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            try:
                distribution = importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:  # of another platform
                continue
            for file in distribution.files or ():
                self._allowed.add(file.parts[0].partition(".")[0])
            for requirement in distribution.requires or ():
                if "extra ==" not in requirement:
                    waiting.append(re.split(r"[^\w.-]", requirement)[0])

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        # The only module of the standard library that is named after the platform.
        is_platforms = name.startswith("_sysconfigdata_")
        if name.partition(".")[0] not in self._allowed and not is_platforms:
            raise ModuleNotFoundError(f"{name} is not TensorFlow's or TF Text's", name=name)


def _load_beside(name: str) -> Any:
    """Loads the module `name` from this file's folder."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"_infra_check_{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Probe:
    """The checks, in order. Each yields findings, one line each, and may record figures."""

    def __init__(self, options: dict[str, Any], report: TextIO) -> None:
        self._model = options["model"]
        self._expected = options["signatures"]
        self._answers = options["answers"]
        self._report = report
        self._figures: dict[str, Any] = {}
        self._signatures: dict[str, Any] = {}
        # Warm-up requests by the signature's name.
        self._templates: dict[str, list[dict[str, Any]]] = {}

    def run(self) -> None:
        for check in (
            self.graph,
            self.load,
            self.signatures,
            self.warm_up,
            self.odd_texts,
            self.limits,
            self.latency,
        ):
            self._say(begins=check.__name__)
            findings: list[str] = []
            try:
                findings.extend(check())
            except Exception as error:
                findings.append(_one_line(error))
            self._figures["peak_mib"] = _memory("VmHWM")
            self._say(ends=check.__name__, findings=findings, figures=self._figures)
            if findings and check.__name__ in ("graph", "load"):
                break  # all further checks would fail too
        self._say(whole=True)

    def _say(self, **line: Any) -> None:
        self._report.write(json.dumps(line) + "\n")
        self._report.flush()

    def graph(self) -> Iterator[str]:
        """The graph has nothing that a server cannot run or find."""
        self.tf = importlib.import_module("tensorflow")
        importlib.import_module("tensorflow_text")  # registers its ops
        from tensorflow.core.protobuf import saved_model_pb2
        from tensorflow.python.framework import op_def_registry

        with open(os.path.join(self._model, "saved_model.pb"), "rb") as stream:
            saved = saved_model_pb2.SavedModel.FromString(stream.read())
        (meta_graph,) = [m for m in saved.meta_graphs if "serve" in m.meta_info_def.tags]
        self._definitions = {
            name: definition
            for name, definition in meta_graph.signature_def.items()
            if name != "__saved_model_init_op"
        }
        rules = _load_beside("graph_rules")
        yield from rules.findings(meta_graph, lambda op: op_def_registry.get(op) is not None)

    def load(self) -> Sequence[str]:
        """The export loads as in a server: into a session, with the graph's restore and init ops.

        `tf.saved_model.load` follows the tree of Python objects instead, and so accepts exports
        whose variables no server finds (https://github.com/tensorflow/serving/issues/2250).
        """
        start, v1 = time.monotonic(), self.tf.compat.v1
        self._session = v1.Session(graph=self.tf.Graph())
        with self._session.graph.as_default():
            v1.saved_model.load(self._session, ["serve"], self._model)
        self._figures["load_seconds"] = round(time.monotonic() - start, 3)
        self._figures["loaded_mib"] = _memory("VmRSS")
        return ()

    def signatures(self) -> Iterator[str]:
        """The required signatures exist, with their inputs."""
        self.requests = _load_beside("served_requests")
        for name, inputs in self._expected.items():
            if name not in self._definitions:
                there = ", ".join(sorted(self._definitions))
                yield f"signature {name} is missing; the export has {there}"
                continue
            definition = self._definitions[name]
            if missing := sorted(set(inputs) - set(definition.inputs)):
                yield f"signature {name} does not take {', '.join(missing)}"
            self._signatures[name] = self.requests.Signature(name, definition, self._session)

    def warm_up(self) -> Iterator[str]:
        """The warm-up requests get complete and finite answers, the same twice."""
        path = os.path.join(self._model, self.requests.WARM_UP)
        if not os.path.isfile(path):
            yield f"{self.requests.WARM_UP} is missing"
            return
        first: dict[str, float] = {}
        with self.tf.io.TFRecordWriter(self._answers) as answers:
            for count, (log, name, request) in enumerate(self.requests.read_warm_up(path), 1):
                if name not in self._signatures:
                    yield f"request {count} is to signature {name}, which is not expected"
                    continue
                signature, start = self._signatures[name], time.monotonic()
                answer = signature(request)
                first.setdefault(name, round(1000 * (time.monotonic() - start), 2))
                yield from signature.faults(request, answer, f"request {count} to {name}")
                if self.requests.differs(answer, signature(request)):
                    yield f"request {count} to {name} got two answers"
                answers.write(self.requests.prediction_log(log, answer).SerializeToString())
                self._templates.setdefault(name, []).append(request)
                if count > self.requests.MOST_WARM_UP_REQUESTS:
                    yield f"more than {self.requests.MOST_WARM_UP_REQUESTS} requests"
                    return
        self._figures["first_answer_ms"] = first
        for name in self._signatures:
            if name not in self._templates:
                yield f"no request to signature {name}"

    def odd_texts(self) -> Iterator[str]:
        """Any text gets an answer, the same in a batch as alone; an empty batch gets no rows."""
        for name, (template, *_) in self._templates.items():
            signature = self._signatures[name]
            together: dict[str, Any] = {}
            for what, texts, row in _odd_batches():
                request = signature.with_texts(template, texts)
                answer = signature(request)
                yield from signature.faults(request, answer, f"{what} to {name}")
                if row is None:
                    together = answer
                    continue
                in_batch = {key: value[row : row + 1] for key, value in together.items()}
                # Sampled tokens may differ where two have almost the same probability.
                differs = self.requests.differs(in_batch, answer, _TOLERANCE)
                if differs and not signature.generates:
                    yield f"{what} to {name} gets another answer in a batch than alone"

    def limits(self) -> Iterator[str]:
        """Requests over a limit are refused as an invalid argument."""
        path = os.path.join(self._model, "assets.extra", "limits.json")
        if not os.path.isfile(path):
            yield "assets.extra/limits.json is missing"
            return
        with open(path, encoding="utf-8") as stream:
            limits = json.load(stream)
        self._figures["limits"] = limits
        for name, (template, *_) in self._templates.items():
            signature = self._signatures[name]
            over: dict[str, tuple[list[bytes], dict[str, Any]]] = {}
            over["max_text_bytes"] = ([b"x " * (limits["max_text_bytes"] // 2 + 1)], {})
            row = sum(array[:1].nbytes for array in template.values())
            rows = "max_generation_rows" if signature.generates else "max_rows"
            if row * limits[rows] < _MOST_BYTES:
                over[rows] = ([b"x"] * (limits[rows] + 1), {})
            if signature.generates:
                most = self.tf.constant([limits["max_new_tokens"] + 1], self.tf.int32).numpy()
                over["max_new_tokens"] = ([b"x"], {"max_new_tokens": most})
            for limit, (texts, settings) in over.items():
                request = signature.with_texts(template, texts) | settings
                try:
                    signature(request)
                    yield f"{name} answers a request over {limit}, which is {limits[limit]}"
                except self.tf.errors.InvalidArgumentError:
                    pass

    def latency(self) -> Sequence[str]:
        """Measures latencies; has no findings."""
        latencies = self._figures["latency_ms"] = {}
        for name, requests in self._templates.items():
            took: list[float] = []
            start = time.monotonic()
            while len(took) < len(requests) or time.monotonic() < start + _LATENCY_SECONDS:
                begun = time.monotonic()
                self._signatures[name](requests[len(took) % len(requests)])
                took.append(1000 * (time.monotonic() - begun))
            middle = sorted(took)[len(took) // 2]
            latencies[name] = {"p50": round(middle, 2), "max": round(max(took), 2)}
        return ()


def _odd_batches() -> Iterator[tuple[str, Sequence[bytes], int | None]]:
    """Yields a description, texts, and for a single text its row in the batch before."""
    yield "an empty batch", (), None
    yield "odd texts", _ODD_TEXTS, None
    for row, text in enumerate(_ODD_TEXTS):
        yield f"{text[:20]!r}", (text,), row


def _memory(field: str) -> int | None:
    """VmHWM (the peak) or VmRSS of this process in MiB; None without /proc."""
    try:
        with open("/proc/self/status", encoding="ascii") as stream:
            return int(re.findall(rf"^{field}:\s*(\d+) kB", stream.read(), re.M)[0]) // 1024
    except FileNotFoundError:
        return None


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


if __name__ == "__main__":
    main()
