import json

from pipeline.runs import diff as run_diff

RUN = {
    "task": "imdb",
    "partial": None,
    "config": {"preset": "smoke", "seed": 1, "model": {"d_model": 64, "n_layer": 1}},
    "source": None,
    "data_sha256": "a" * 64,
    "records": {"in": 25000, "out": {"train": 20000}},
    "data_findings": [],
    "code": {"data.imdb.reader": "b" * 64, "mamba_model.scan": "c" * 64},
    "versions": {"tfx": "1.16.0"},
    "machine": {"cores": "2"},
    "vocabulary_sha256": "d" * 64,
    "weights_sha256": "e" * 64,
    "blessed": True,
    "failed_thresholds": [],
    "pushed_path": "/models/imdb/1",
    "error": None,
    "metrics": {"eval": {"accuracy": 0.75, "slices": {"length_bucket=1": {"accuracy": 0.5}}}},
}


def test_equal_runs_do_not_differ():
    assert run_diff.compare(RUN, json.loads(json.dumps(RUN))) == []
    assert run_diff.as_text([], "A", "B") == "A and B do not differ"


def test_differences_are_listed_by_section_with_the_change_of_numbers():
    other = json.loads(json.dumps(RUN))
    other["config"]["model"]["d_model"] = 128
    other["code"]["mamba_model.scan"] = "f" * 64
    del other["code"]["data.imdb.reader"]
    other["metrics"]["eval"]["accuracy"] = 0.875
    other["metrics"]["eval"]["slices"]["length_bucket=1"]["accuracy"] = 0.25
    differences = run_diff.compare(RUN, other)
    assert json.loads(run_diff.as_json(differences, "A", "B")) == {
        "runs": ["A", "B"],
        "parameters": {"model.d_model": [64, 128]},
        "code": {"data.imdb.reader": ["b" * 64, None], "mamba_model.scan": ["c" * 64, "f" * 64]},
        "metrics": {"accuracy": [0.75, 0.875], "slices.length_bucket=1.accuracy": [0.5, 0.25]},
    }
    header, *lines = run_diff.as_text(differences, "A", "B").splitlines()
    assert header.split() == ["A", "B"]
    assert [line.split() for line in lines] == [
        ["parameters"],
        ["model.d_model", "64", "128", "+64"],
        ["code"],
        ["data.imdb.reader", "bbbbbbbbbbbb", "-"],
        ["mamba_model.scan", "cccccccccccc", "ffffffffffff"],
        ["metrics"],
        ["accuracy", "0.75", "0.875", "+0.125"],
        ["slices.length_bucket=1.accuracy", "0.5", "0.25", "-0.25"],
    ]
    columns = {line.index(line.split()[1]) for line in lines if len(line.split()) > 1}
    assert len(columns) == 1


def test_a_failed_run_can_be_compared():
    failed = RUN | {"metrics": None, "records": None, "error": "ValueError: no", "blessed": False}
    sections = {each.section for each in run_diff.compare(RUN, failed)}
    assert sections == {"data", "results", "metrics"}
