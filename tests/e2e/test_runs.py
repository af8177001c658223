"""From the packaged text to an answer of the pushed model, for both tasks."""

import json
import math
import shutil
from pathlib import Path

import pytest
from read_corpora import BIBLE, IMDB, records

pytestmark = pytest.mark.slow

STAGES = {
    "ReviewedSchema", "TextExampleGen", "StatisticsGen", "ExampleValidator", "DataGate",
    "Transform", "Trainer", "Evaluator", "InfraCheck", "ModelCard", "Pusher", "RunReport",
}  # fmt: skip


def _held_out(task, most):
    held_out = (record for record in records(task) if record.split == "eval")
    return [record.features for record in held_out][:most]


@pytest.fixture(params=["bible", "imdb"])
def finished(request):
    return request.param, request.getfixturevalue(request.param)


def test_summary_accounts_for_every_record(finished):
    task, command = finished
    records = command.summary(task)["records"]
    assert records["in"] == {"bible": 1189, "imdb": 25000}[task]
    kept = sum(records["out"].values())
    assert (
        records["in"]
        == kept
        + sum(records["dead_letters"].values())
        + records["repeats"]
        + (records["sampled_out"])
    )


def test_summary_holds_what_identifies_the_run(finished):
    task, command = finished
    summary = command.summary(task)
    assert (summary["task"], summary["preset"], summary["seed"]) == (task, "smoke", 1)
    for name in ("data_sha256", "vocabulary_sha256", "weights_sha256"):
        assert len(summary[name]) == 64
    assert set(summary["seconds"]) == STAGES | {"Baseline"}  # which is no cached stage
    assert summary["error"] is None


def test_run_is_blessed_and_its_model_pushed(finished):
    task, command = finished
    summary = command.summary(task)
    assert summary["blessed"] is True
    versions = list((command.root / "serving_models" / task).iterdir())
    assert [str(version) for version in versions] == [summary["pushed_path"]]


def test_export_was_checked_and_measured(finished):
    task, command = finished
    check = command.summary(task)["infra_check"]
    assert (check["blessed"], check["findings"]) == (True, [])
    assert 0 < check["figures"]["load_seconds"] < 60
    assert check["figures"]["peak_mib"] > 50


def test_pushed_model_carries_a_card_that_is_the_summarys(finished):
    task, command = finished
    summary = command.summary(task)
    extra = Path(summary["pushed_path"], "assets.extra")
    card = json.loads((extra / "model_card.json").read_text())
    assert card["metrics"] == summary["metrics"]["eval"]
    assert card["data"]["sha256"] == summary["data_sha256"]
    assert card["data"]["examples"] == summary["records"]["out"]
    assert card["hashes"]["weights"] == summary["weights_sha256"]
    assert card["hashes"]["vocabulary"] == summary["vocabulary_sha256"]
    lower, upper = next(iter(summary["metrics"]["eval"]["intervals"].values()))
    text = (extra / "model_card.md").read_text()
    assert f"{lower:.4g} to {upper:.4g}" in text
    assert card["title"] in text


def test_a_second_run_takes_every_stage_from_the_cache(finished):
    task, command = finished
    before = command.summary(task)
    command.succeeds("run", task, "--preset", "smoke")
    after = command.summary(task)
    assert set(after["cached"]) == STAGES
    assert after["run_id"] != before["run_id"]
    for name in ("metrics", "weights_sha256", "pushed_path", "records"):
        assert after[name] == before[name]


def test_a_model_that_was_deleted_is_pushed_again(bible):
    before = bible.summary("bible")["pushed_path"]
    shutil.move(before, bible.root / "moved away")
    bible.succeeds("run", "bible", "--preset", "smoke")
    after = bible.summary("bible")
    assert after["pushed_path"] not in (None, before)
    assert set(after["cached"]) == STAGES - {"Pusher", "RunReport"}


def test_runs_lists_each_run_and_shows_one(finished):
    task, command = finished
    summary = command.summary(task)
    assert summary["run_id"] in command.tells("runs")
    shown = json.loads(command.tells("runs", "show", summary["run_id"]))
    assert shown == summary


def test_a_killed_run_left_no_summary_and_the_next_one_took_what_it_had_finished(imdb):
    runs = (imdb.root / "runs" / "imdb").glob("*/summary.json")
    first = min(path for path in runs if not path.parent.is_symlink())
    summary = json.loads(first.read_text())
    assert summary["error"] is None
    assert {"TextExampleGen", "StatisticsGen", "DataGate"} <= set(summary["cached"])
    assert not {"Transform", "Trainer"} & set(summary["cached"])


def test_generation_continues_the_prompt_the_same_way_twice(bible):
    prompt = "And the LORD said unto Moses,"
    first = bible.succeeds("generate", "bible", prompt, "--seed", "5")
    assert first.startswith(prompt)
    assert len(first.strip()) > len(prompt) + 20
    assert bible.succeeds("generate", "bible", prompt, "--seed", "5") == first
    assert bible.tells("generate", "bible", prompt, "--seed", "6") != first


def test_score_of_the_held_out_chapters_is_what_the_evaluator_found(bible, tmp_path):
    # The smoke run's own eval chapters are a part of these.
    texts = [features["text"] for features in _held_out(BIBLE, 20)]
    file = tmp_path / "chapters.txt"
    file.write_text("\n\n".join(texts) + "\n", "utf-8")
    score = json.loads(bible.succeeds("score", "bible", str(file)))
    assert score["chars"] == sum(len(text) + 1 for text in texts)
    assert score["bits_per_char"] == pytest.approx(
        bible.summary("bible")["metrics"]["eval"]["bits_per_char"], rel=0.1
    )


def test_score_of_reviews_gives_accuracy_auc_and_log_loss(imdb, tmp_path):
    import csv

    rows = [(f["text"], f["label"]) for f in _held_out(IMDB, 1500)]
    rows = rows[:200] + rows[-200:]  # sorted by label
    file = tmp_path / "reviews.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    score = json.loads(imdb.tells("score", "imdb", str(file)))
    assert score["n"] == 400
    assert 0.5 < score["accuracy"] <= 1
    assert 0.5 < score["auc"] <= 1
    assert 0 < score["log_loss"] < math.log(2)


def test_predict_tells_a_plainly_good_review_from_a_plainly_bad_one(imdb):
    good, bad = imdb.succeeds(
        "predict", "imdb",
        "A wonderful, moving film with excellent acting. I loved it, one of the best ever.",
        "Terrible acting, awful plot, a boring waste of time. The worst film I have seen.",
    ).splitlines()  # fmt: skip
    assert good.startswith("positive")
    assert bad.startswith("negative")


def test_a_model_that_is_not_good_enough_is_not_pushed_and_has_its_own_exit_code(bible):
    versions = list((bible.root / "serving_models" / "bible").iterdir())
    done = bible("run", "bible", "--preset", "smoke", "--set", "evaluation.max_bits_per_char=0.5")
    assert done.returncode == 3
    assert "NOT BLESSED" in done.stdout
    assert "bits_per_char" in done.stdout
    assert list((bible.root / "serving_models" / "bible").iterdir()) == versions
    bible.succeeds("run", "bible", "--preset", "smoke")  # as the other tests expect it
