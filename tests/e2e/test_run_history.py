"""Runs in ML Metadata: the list of runs, a model's lineage, and cleaning."""

import json
import xml.etree.ElementTree as ET

import pytest
from command_line import CommandLine
from copied_root import copy_root
from read_corpora import IMDB, opened

from pipeline.places import Places
from pipeline.runs import lineage
from pipeline.runs import store as metadata

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def copied(imdb, tmp_path_factory) -> CommandLine:
    """A copy of the shared imdb root, after a partial run whose gate only reports."""
    command = CommandLine(copy_root(imdb.root, tmp_path_factory.mktemp("copy") / "root"))
    command.succeeds(
        "run", "imdb", "--preset", "smoke", "--set", "data.gate=report",
        "--from", "datagate", "--to", "DataGate",
    )  # fmt: skip
    return command


def test_runs_are_read_from_ml_metadata_even_without_their_files(imdb, copied):
    for file in copied.root.glob("runs/imdb/*/summary.json"):
        if not file.parent.is_symlink():
            file.unlink()
    expected = imdb.summary("imdb")
    assert expected["run_id"] in copied.tells("runs")
    assert json.loads(copied.tells("runs", "show", expected["run_id"])) == expected


def test_a_killed_run_is_listed_as_unfinished(imdb):
    # The first run of the shared root was killed in Transform.
    first, *_ = imdb.succeeds("runs").splitlines()
    assert first.split()[:1] == ["imdb"]
    assert "unfinished" in first


def test_a_partial_run_says_so_and_has_null_for_what_it_did_not_reach(copied):
    summary = copied.newest()
    assert summary["partial"]["stages"] == ["DataGate"]
    assert "TextExampleGen" in summary["partial"]["taken_over"]
    assert summary["partial"]["changed_since"] == []
    assert list(summary["seconds"]) == ["DataGate"]
    assert summary["cached"] == []
    for name in ("metrics", "blessed", "weights_sha256", "training", "pushed_path"):
        assert summary[name] is None
    assert summary["records"]["in"] == 25000  # taken over
    link = copied.root / "runs" / "imdb" / "latest"
    assert link.readlink().name != summary["run_id"]


def test_diff_shows_the_parameter_that_was_set(imdb, copied):
    before, after = imdb.summary("imdb")["run_id"], copied.newest()["run_id"]
    found = json.loads(copied.tells("runs", "diff", before, after, "--json"))
    assert found["parameters"]["data.gate"] == ["stop", "report"]
    assert not {"data", "code", "versions"} & set(found)
    assert "data.gate" in copied.tells("runs", "diff", before, after)


def test_a_partial_run_without_an_earlier_one_is_refused(copied, tmp_path):
    done = CommandLine(tmp_path)("run", "imdb", "--preset", "smoke", "--from", "trainer")
    assert done.returncode == 1
    assert "Trainer needs the outputs of ReviewedSchema, TextExampleGen" in done.stderr
    assert not list(tmp_path.glob("runs/imdb/*"))


def test_lineage_leads_from_the_pushed_model_to_the_hash_of_the_source(imdb):
    pushed = imdb.summary("imdb")["pushed_path"]
    found = lineage.of_model(Places.below(imdb.root), pushed)
    (source,) = [node for node in found.nodes if node.kind == "source"]
    assert source.details["sha256"] == opened(IMDB).sha256
    reached, waiting = set(), list(found.ends)
    while waiting:
        reached.add(node := waiting.pop())
        waiting += [edge.start for edge in found.edges if edge.end == node]
    assert reached == {node.id for node in found.nodes}
    stages = [node.name for node in found.nodes if node.kind == "execution"]
    assert len(stages) == len(set(stages))  # made once, however often taken from the cache
    assert {"TextExampleGen", "Transform", "Trainer", "Evaluator", "Pusher"} <= set(stages)
    (model,) = [node for node in found.nodes if node.name == "Model"]
    assert model.details["weights_sha256"] == imdb.summary("imdb")["weights_sha256"]


def test_lineage_is_shown_as_text_json_and_drawings(imdb):
    text = imdb.succeeds("lineage", "imdb")
    assert text.startswith("PushedModel")
    assert opened(IMDB).sha256[:12] in text
    as_json = json.loads(imdb.tells("lineage", "imdb", "--format", "json"))
    drawing = ET.fromstring(imdb.tells("lineage", "imdb", "--format", "svg"))
    boxes = drawing.findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(boxes) == len(as_json["nodes"])
    dot = imdb.tells("lineage", "imdb", "--format", "dot")
    assert dot.count(" -> ") == len(as_json["edges"])
    done = imdb("lineage", "imdb/12345")
    assert done.returncode == 1
    assert "imdb/12345: no pushed model" in done.stderr


def test_clean_removes_what_nothing_needs_and_the_cache_still_works(copied):
    root, places = copied.root, Places.below(copied.root)
    pushed = sorted(root.glob("serving_models/*/*/*"))
    files = sorted(root.rglob("*"))
    told = copied.tells("clean", "--keep", "1", "--dry-run")
    assert sorted(root.rglob("*")) == files
    assert "DataGate/blessing" in told
    done = copied("clean", "--keep", "1")
    assert done.returncode == 1
    assert "nobody to ask" in done.stderr
    copied.succeeds("clean", "--keep", "1", "--yes")
    assert sorted(root.glob("serving_models/*/*/*")) == pushed
    assert "nothing to remove" in copied.tells("clean", "--keep", "1", "--dry-run")

    store = metadata.open_store(places)
    assert store is not None
    live = {a.uri for a in store.get_artifacts() if a.state == a.LIVE}
    outputs = {
        str(path)
        for path in root.glob("runs/artifacts/imdb/*/*/*")
        if path.parent.name != ".system" and ".system" not in path.parts
    }
    assert live == outputs
    assert lineage.of_model(places, "imdb").ends  # its lineage is whole
    # The gate's first verdict is gone: with the first run's parameters it runs again.
    copied.succeeds("run", "imdb", "--preset", "smoke", "--to", "transform")
    summary = copied.newest()
    assert "DataGate" not in summary["cached"]
    assert {"TextExampleGen", "Transform", "StatisticsGen"} <= {
        *summary["cached"], *summary["seconds"]
    }  # fmt: skip


def test_the_last_pushed_model_is_looked_up_without_an_error(imdb):
    store = metadata.open_store(Places.below(imdb.root))
    assert store is not None
    found = [e for e in store.get_executions() if e.type.endswith(".Resolver")]
    assert found
    assert {execution.last_known_state for execution in found} == {found[0].COMPLETE}
