"""An export without faults is blessed; each deliberate fault is found and named."""

import json
import math
import subprocess
import sys

import keras
import pytest
import tensorflow as tf
import tiny_exports
from tfx.types import standard_artifacts
from tiny_exports import LIMITS, SIGNATURES, save, share_of_spaces

from components.infra_check import executor, probe
from components.infra_check.component import InfraCheck


@pytest.fixture
def findings(tmp_path, monkeypatch):
    """Runs the probe on an export in this process; returns its findings."""
    monkeypatch.setattr(probe, "_LATENCY_SECONDS", 0.0)

    def of(export, signatures=SIGNATURES):
        options = {
            "model": str(export),
            "signatures": signatures,
            "answers": str(tmp_path / "answers"),
        }
        with (tmp_path / "report").open("w") as stream:
            probe.Probe(options, stream).run()
        return executor._read(tmp_path, 0, 300).findings

    return of


def test_an_export_without_faults_has_no_finding(findings, tmp_path):
    assert findings(save(tmp_path / "model")) == []


def _compiled_by_xla(text):
    return share_of_spaces(text) + tf.function(lambda: tf.constant(0.0) * 2, jit_compile=True)()


def _python(text):
    (share,) = tf.py_function(lambda t: [share_of_spaces(t)], [text], [tf.float32])
    return tf.reshape(share, [tf.size(text)])


def _nan(text):
    share = share_of_spaces(text)
    return tf.where(tf.strings.regex_full_match(text, "And.*"), math.nan, share)


def _nan_for_no_text(text):
    return share_of_spaces(text) / tf.cast(tf.strings.length(text) > 0, tf.float32)


def _depends_on_other_rows(text):
    return share_of_spaces(text) / tf.cast(tf.size(text) + 1, tf.float32)


def _random(text):
    return share_of_spaces(text) * tf.random.uniform([])


def _one_row(text):
    return tf.reduce_mean(share_of_spaces(text), keepdims=True)


def _path(text):
    lost = tf.constant("/home/somebody/models/vocabulary.txt")
    return share_of_spaces(text) + tf.cast(tf.strings.length(lost), tf.float32) * 0


def _no_empty_batch(text):
    share = share_of_spaces(text)
    return share + tf.minimum(share[0], 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("score", "finding"),
    [
        (_compiled_by_xla, "must be compiled by XLA"),
        (_python, "calls Python (EagerPyFunc)"),
        (_path, "holds the absolute path /home/somebody/models/vocabulary.txt"),
        (_nan, "warm_up: request 1 to serving_default: scores is not finite"),
        (_random, "warm_up: request 1 to serving_default got two answers"),
        (_one_row, "warm_up: request 1 to serving_default: expected 2 rows of scores, got shape"),
        (_nan_for_no_text, "odd_texts: b'' to serving_default: scores is not finite"),
        (_depends_on_other_rows, "serving_default gets another answer in a batch than alone"),
        (_no_empty_batch, "odd_texts: InvalidArgumentError"),
    ],
)
def test_a_fault_of_the_computation_is_found(score, finding, findings, tmp_path):
    found = findings(save(tmp_path / "model", score))
    assert any(finding in one for one in found), found


def test_an_export_whose_variables_no_server_finds_is_not_blessed(findings, tmp_path):
    # TensorFlow in Python loads it and answers correctly: https://github.com/keras-team/keras/issues/19274
    scale = keras.Variable(0.5, name="scale")
    export = save(tmp_path / "model", lambda text: share_of_spaces(text) * scale, variables=[scale])
    in_python = tf.saved_model.load(str(export)).signatures["serving_default"]
    scores = in_python(tf.constant(["a b"]))["scores"].numpy()
    assert scores[0, 1] == pytest.approx(1 / 6)
    assert any("Could not find variable scale" in finding for finding in findings(export))


@pytest.mark.slow
def test_requests_over_a_limit_must_be_refused(findings, tmp_path):
    found = findings(save(tmp_path / "model", limited=tf.identity))
    assert len(found) == 2 * len(SIGNATURES)
    assert "limits: classify answers a request over max_rows, which is 40" in found


@pytest.mark.parametrize("file", ["tf_serving_warmup_requests", "limits.json"])
def test_a_missing_file_is_found(file, findings, tmp_path):
    export = save(tmp_path / "model")
    (export / "assets.extra" / file).unlink()
    (found,) = [one for one in findings(export) if "no request to" not in one]
    assert found.endswith(f"assets.extra/{file} is missing")


@pytest.mark.slow
def test_a_missing_signature_input_or_request_is_found(findings, tmp_path):
    export = save(tmp_path / "model", names=["serving_default", "serving_examples"])
    (found,) = findings(export)
    assert found == (
        "signatures: signature classify is missing; the export has serving_default,"
        " serving_examples"
    )
    (found,) = findings(export, {"serving_default": ["text", "seed"], "serving_examples": []})
    assert found == "signatures: signature serving_default does not take seed"
    tiny_exports.save(tmp_path / "whole")
    requests = tmp_path / "whole/assets.extra/tf_serving_warmup_requests"
    requests.write_bytes(
        (export / "assets.extra/tf_serving_warmup_requests").read_bytes()
    )  # they are to the other two signatures
    assert findings(tmp_path / "whole") == ["warm_up: no request to signature classify"]


def test_a_damaged_warm_up_file_is_found(findings, tmp_path):
    export = save(tmp_path / "model")
    file = export / "assets.extra/tf_serving_warmup_requests"
    file.write_bytes(file.read_bytes()[:-3])
    assert any(one.startswith("warm_up: DataLossError") for one in findings(export))


def _component_checks(export, tmp_path, time_limit=120):
    """Runs the component's function as TFX does; returns the blessing and its report."""
    model = standard_artifacts.Model()
    model.uri = str(export.parent)
    blessing = standard_artifacts.InfraBlessing()
    blessing.uri = str(tmp_path / "blessing")
    InfraCheck.test_call(model, blessing, json.dumps(SIGNATURES), time_limit)
    return blessing, json.loads((tmp_path / "blessing" / "report.json").read_text())


@pytest.mark.slow
def test_a_clean_process_blesses_and_measures_a_good_export(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")  # as TFX sets it
    monkeypatch.setenv("PATH", "")  # no model server
    export = save(tmp_path / "Format-Serving")
    blessing, report = _component_checks(export, tmp_path)
    assert report["findings"] == []
    assert blessing.get_int_custom_property("blessed") == 1
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()
    assert report["checks"] == [
        "graph", "load", "signatures", "warm_up", "odd_texts", "limits", "latency"
    ]  # fmt: skip
    (what,) = report["not_checked"]
    assert what == (
        "model server: no tensorflow_model_server is on PATH, and docker is not on PATH"
    )
    assert report["model_server"] is None
    figures = report["figures"]
    assert 0 < figures["load_seconds"] < 60
    assert 50 < figures["loaded_mib"] <= figures["peak_mib"] < 4000
    for name in SIGNATURES:
        assert 0 < figures["latency_ms"][name]["p50"] <= figures["latency_ms"][name]["max"]
    assert figures["limits"] == LIMITS


def _endless(text):
    share = share_of_spaces(text)
    return tf.while_loop(lambda *_: True, lambda i, s: (i + 1, s + 0.0), (0, share))[1]


@pytest.mark.slow
def test_an_answer_that_never_comes_is_killed_at_the_time_limit_and_not_blessed(tmp_path):
    export = save(tmp_path / "Format-Serving", _endless)
    blessing, report = _component_checks(export, tmp_path, time_limit=15)
    assert blessing.get_int_custom_property("blessed") == 0
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").exists()
    (finding,) = report["findings"]
    assert finding.endswith(": did not end within the time limit of 15 s (infra_check.time_limit)")
    assert not {"warm_up", "latency"} & set(report["checks"])


@pytest.mark.slow
def test_the_probe_can_import_nothing_of_this_project_nor_of_tfx(tmp_path):
    program = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("probe", sys.argv[1])
probe = importlib.util.module_from_spec(spec)
sys.modules["probe"] = probe
spec.loader.exec_module(probe)
sys.meta_path.insert(0, probe._OnlyTensorFlow())
import tensorflow, tensorflow_text
from tensorflow_serving.apis import prediction_log_pb2
for name in ("pipeline", "components", "mamba_model", "tfx", "apache_beam", "pandas",
             "tensorflow_transform", "tfx_bsl", "ml_metadata"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    print("imported", name)
"""
    probe = str(executor.__file__).replace("executor.py", "probe.py")
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, probe],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=executor._environment(),
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
