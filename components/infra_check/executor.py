"""The check of InfraCheck: runs the probe and, if available, TensorFlow Serving.

report.json:

    {"blessed": true,
     "findings": [],                       one line each, "<check>: <finding>"
     "checks": ["graph", "load", ...],     the completed checks, in order
     "figures": {"load_seconds": 0.9, "loaded_mib": 480, "peak_mib": 610,
                 "first_answer_ms": {"serving_default": 210.0, ...},
                 "latency_ms": {"serving_default": {"p50": 3.1, "max": 5.2}, ...}},
     "model_server": "docker: tensorflow/serving",    or the binary's path; null without either
     "not_checked": []}                    skipped checks, "<check>: <reason>"; not findings

Latencies are of whole warm-up requests in the probe's process, without a network.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.infra_check import model_server


@dataclass
class Report:
    """The contents of report.json; see the module's docstring."""

    findings: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    model_server: str | None = None
    not_checked: list[str] = field(default_factory=list)

    @property
    def blessed(self) -> bool:
        return not self.findings


def check(model: Path, signatures: Mapping[str, Sequence[str]], time_limit: float) -> Report:
    """Checks an export in a separate process, and in TensorFlow Serving if it is installed.

    Args:
        model: folder of the SavedModel.
        signatures: required signatures, each with its required inputs.
        time_limit: seconds until all processes are killed, which is a finding.
    """
    deadline = time.monotonic() + time_limit
    with tempfile.TemporaryDirectory(prefix="tf-mamba-infra-check-") as name:
        folder = Path(name)
        report = _probe(model, signatures, time_limit, folder)
        if report.blessed:
            server = model_server.check(model, folder / "answers", folder, deadline)
            report.model_server = server.asked
            report.findings += [f"model server: {finding}" for finding in server.findings]
            if server.not_checked is None:
                report.checks.append("model_server")
            else:
                report.not_checked.append(f"model server: {server.not_checked}")
    return report


def _probe(
    model: Path, signatures: Mapping[str, Sequence[str]], time_limit: float, folder: Path
) -> Report:
    options = {
        "model": str(model.resolve()),
        "signatures": {name: list(inputs) for name, inputs in signatures.items()},
        "time_limit": int(time_limit) + 5,  # the probe's own, in case this process is killed
        "report": str(folder / "report"),
        "answers": str(folder / "answers"),
    }
    (folder / "options.json").write_text(json.dumps(options), "utf-8")
    probe = Path(__file__).with_name("probe.py")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            # -I: no PYTHONPATH, current folder or user's packages.
            [sys.executable, "-I", "-B", str(probe), str(folder / "options.json")],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(time_limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return _read(folder, code, time_limit)


def _environment() -> dict[str, str]:
    """Drops TensorFlow's variables: TFX sets TF_USE_LEGACY_KERAS, which selects tf_keras."""
    ours = {n: v for n, v in os.environ.items() if not n.startswith(("KERAS_", "TF_", "XLA_"))}
    return ours | {"TF_CPP_MIN_LOG_LEVEL": "2"}


def _read(folder: Path, code: int | None, time_limit: float) -> Report:
    """Converts the probe's lines to a report; an early end of the probe is a finding."""
    report, running, whole = Report(), "start", False
    file = folder / "report"
    for text in file.read_text("utf-8").splitlines() if file.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:  # the probe was killed while writing
            break
        if "begins" in line:
            running = line["begins"]
        elif "ends" in line:
            running = "end"
            report.checks.append(line["ends"])
            report.findings += [f"{line['ends']}: {finding}" for finding in line["findings"]]
            report.figures = line["figures"]
        else:
            whole = True
    if code is None:
        report.findings.append(
            f"{running}: did not end within the time limit of {time_limit:g} s"
            " (infra_check.time_limit)"
        )
    elif code != 0 or not whole:
        how = signal.Signals(-code).name if code < 0 else f"exit {code}"
        *_, last = ["", *(folder / "log").read_text("utf-8", "replace").split("\n")[:-1]]
        report.findings.append(f"{running}: the process ended with {how}: {last[:300]}")
    return report
