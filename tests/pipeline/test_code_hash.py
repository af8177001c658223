import shutil
from pathlib import Path

import pytest

from pipeline import code_hash
from pipeline.code_hash import code_sha256

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the project's packages, which code_sha256 reads in place of the real ones."""
    for package in ("components", "data", "mamba_model", "pipeline"):
        shutil.copytree(
            PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    monkeypatch.setattr(code_hash, "__file__", str(tmp_path / "pipeline" / "code_hash.py"))
    return tmp_path


STAGES = {
    "ingest": ("components.text_example_gen.executor", "data.imdb"),
    "gate": ("components.data_gate", "data.imdb"),
    "transform": ("pipeline.transform.preprocessing",),
    "train": ("pipeline.training.trainer",),
    "evaluate": ("pipeline.evaluation.next_token_metrics",),
}


@pytest.mark.parametrize(
    ("edited", "stages"),
    [
        ("data/imdb_formats.py", {"ingest", "gate"}),
        ("data/normal_form.py", {"transform", "train"}),
        ("data/bible_formats.py", set()),
        ("pipeline/transform/tokenization.py", {"transform", "train"}),
        ("pipeline/transform/vocabulary.py", {"transform", "train"}),
        ("mamba_model/scan.py", {"train"}),
        ("mamba_model/native/selective_scan.h", {"train"}),
        ("pipeline/export/saved_model.py", {"train"}),
        ("pipeline/evaluation/next_token_metrics.py", {"evaluate"}),
        ("pipeline/cli.py", set()),
        ("pipeline/orchestrators/local_runner.py", set()),
    ],
)
def test_an_edit_changes_the_hash_of_the_stages_that_run_the_code_and_no_other(
    copy, edited, stages
):
    before = {stage: code_sha256(*modules) for stage, modules in STAGES.items()}
    with (copy / edited).open("a") as file:
        file.write("\n_EDITED = 1\n")
    changed = {s for s, modules in STAGES.items() if code_sha256(*modules) != before[s]}
    assert changed == stages


def test_a_comment_or_layout_does_not_count(copy):
    before = code_sha256("pipeline.transform.preprocessing")
    file = copy / "pipeline" / "transform" / "tokenization.py"
    file.write_text("# A comment.\n\n\n" + file.read_text("utf-8"), "utf-8")
    assert code_sha256("pipeline.transform.preprocessing") == before


def test_library_versions_are_a_part_of_the_hash(monkeypatch):
    before = code_sha256("pipeline.transform.tokenization")
    monkeypatch.setattr(code_hash, "library_versions", lambda: {"tensorflow": "9.9"})
    assert code_sha256("pipeline.transform.tokenization") != before
