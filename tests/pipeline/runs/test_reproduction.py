import copy
import math
import os
import random
import shutil

import pytest
import tensorflow as tf
from read_corpora import BIBLE, opened, records

from data.errors import UserError
from pipeline import cli
from pipeline.commands.reproduce import rerun
from pipeline.places import Places
from pipeline.presets import preset
from pipeline.runs import files, fingerprints, reproduction
from pipeline.runs import summary as run_summary


def _examples(most):
    for record in records(BIBLE)[:most]:
        values = {name: str(value).encode() for name, value in record.features.items()}
        yield {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            for name, value in values.items()
        }


def _write(folder, split, files):
    for number, examples in enumerate(files):
        path = folder / f"Split-{split}" / f"data_tfrecord-{number:05d}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(path), options="GZIP") as writer:
            for features in examples:
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
    return folder


@pytest.fixture(scope="module")
def chapters():
    return list(_examples(40))


@pytest.fixture(scope="module")
def chapters_hash(chapters, tmp_path_factory):
    folder = _write(tmp_path_factory.mktemp("examples"), "train", [chapters])
    return fingerprints.of_examples(folder)


def test_the_order_of_examples_and_the_number_of_files_do_not_change_the_hash(
    chapters, chapters_hash, tmp_path
):
    shuffled = random.Random(3).sample(chapters, len(chapters))
    reversed_features = [dict(reversed(features.items())) for features in shuffled]
    _write(tmp_path, "train", [reversed_features[:7], reversed_features[7:]])
    assert fingerprints.of_examples(tmp_path) == chapters_hash


def test_a_letter_a_repeat_or_a_missing_record_changes_the_hash_of_examples(
    chapters, chapters_hash, tmp_path
):
    text = chapters[5]["text"].bytes_list.value[0]
    edited = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.replace(b"God", b"god")]))
    assert edited != chapters[5]["text"]
    _write(tmp_path, "letter", [[*chapters[:5], {**chapters[5], "text": edited}, *chapters[6:]]])
    _write(tmp_path, "repeat", [[*chapters, chapters[0]]])
    _write(tmp_path, "missing", [chapters[:-1]])
    hashes = fingerprints.of_examples(tmp_path)
    assert len({chapters_hash["train"], *hashes.values()}) == 4


def test_the_order_of_features_does_not_change_the_hash_of_statistics(chapters, tmp_path):
    import pandas
    import tensorflow_data_validation as tfdv

    table = pandas.DataFrame(
        [
            {name: feature.bytes_list.value[0] for name, feature in features.items()}
            for features in chapters
        ]
    )
    of_columns = {
        "as read": list(table),
        "reversed": list(reversed(list(table))),
        "one less": list(table)[1:],
    }
    for split, columns in of_columns.items():
        path = tmp_path / f"Split-{split}" / "FeatureStats.pb"
        path.parent.mkdir()
        statistics = tfdv.generate_statistics_from_dataframe(table[columns])
        path.write_bytes(statistics.SerializeToString())
    hashes = fingerprints.of_statistics(tmp_path)
    assert hashes["as read"] == hashes["reversed"] != hashes["one less"]


def test_swapping_two_pieces_changes_the_hash_of_a_vocabulary(tmp_path):
    asset = tmp_path / "transform_fn" / "assets" / "vocabulary.txt"
    asset.parent.mkdir(parents=True)
    asset.write_text("[PAD]\n[START]\nĠthe\nĠand\n", "utf-8")
    first = fingerprints.of_vocabulary(tmp_path)
    asset.write_text("[PAD]\n[START]\nĠand\nĠthe\n", "utf-8")
    second = fingerprints.of_vocabulary(tmp_path)
    assert set(first) == set(second) == {"pieces", "vocabulary.txt"}
    assert not set(first.values()) & set(second.values())


def test_the_last_bit_of_a_metric_counts_in_slices_too():
    metrics = {"accuracy": 0.87, "slices": {"testament=old": {"accuracy": 0.9}}}
    nearly = {"accuracy": 0.87, "slices": {"testament=old": {"accuracy": math.nextafter(0.9, 1)}}}
    first, second = fingerprints.of_metrics(metrics), fingerprints.of_metrics(nearly)
    assert list(first) == ["accuracy", "testament=old accuracy"]
    assert first["accuracy"] == second["accuracy"]
    assert first["testament=old accuracy"] != second["testament=old accuracy"]


def _hashes(**changed):
    """A summary with two hashes per stage."""
    hashes = {
        stage: {name: f"{number}{name}" * 16 for name in ("eval", "train")}
        for number, stage in enumerate(fingerprints.STAGES)
    }
    return {"hashes": hashes | changed}


def test_equal_runs_are_equal_in_each_row():
    rows = reproduction.compare(_hashes(), _hashes())
    assert [row.stage for row in rows[::2]] == list(fingerprints.STAGES)
    assert all(row.equal for row in rows)
    assert reproduction.verdict(rows) == "reproduced: all 14 hashes are equal"


def test_the_first_stage_that_differs_is_named_and_all_rows_are_shown():
    other = _hashes(
        weights={"head/bias": "aa", "eval": "5eval" * 16, "train": "5train" * 16},
        vocabulary={"eval": "bb", "train": "2train" * 16},
    )
    rows = reproduction.compare(_hashes(), other)
    assert reproduction.verdict(rows) == (
        "NOT reproduced: 2 of 15 hashes differ, first in stage 'vocabulary': eval"
    )
    lines = reproduction.table(rows).splitlines()
    assert len(lines) == 1 + 15
    assert lines[5].split() == ["vocabulary", "eval", "2eval2eval2e", "bb", "DIFFERS"]
    assert lines[12].split() == ["weights", "head/bias", "-", "aa", "DIFFERS"]
    assert sum(line.endswith("DIFFERS") for line in lines) == 2


def test_only_three_of_many_differing_weights_are_named():
    variables = {f"block_{i}/scale": "aa" for i in range(9)}
    rows = reproduction.compare(_hashes(weights=variables), _hashes(weights={}))
    assert reproduction.verdict(rows).endswith(
        "in stage 'weights': block_0/scale, block_1/scale, block_2/scale and 6 more"
    )


@pytest.mark.parametrize("stage", fingerprints.STAGES)
def test_a_stage_that_only_one_run_reached_differs(stage):
    rows = reproduction.compare(_hashes(), _hashes(**{stage: None}))
    assert f"first in stage {stage!r}: eval, train" in reproduction.verdict(rows)


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """The summary of a run on a user's file, without any stage."""
    folder = tmp_path_factory.mktemp("run")
    file = folder / "verses.tsv"
    file.write_text("Genesis\t1\t1\tIn the beginning God created the heaven and the earth.\n")
    places = Places(folder / "runs", folder / "serving_models")
    config = preset("bible", "smoke")
    return run_summary.collect(config, opened(BIBLE, file), places, "20260101-smoke")


@pytest.fixture
def summary(collected, tmp_path):
    """The same, with the file copied to tmp_path, and with hashes."""
    file = shutil.copy(collected["source"], tmp_path)
    return copy.deepcopy(collected) | {"source": file} | _hashes()


def test_the_run_must_have_succeeded_and_have_hashes(summary):
    reproduction.check(summary)
    with pytest.raises(UserError, match="20260101-smoke ended with an error, so there is nothing"):
        reproduction.check(summary | {"error": "ValueError: no"})
    del summary["hashes"]
    with pytest.raises(UserError, match="kept no hashes to compare; run it again"):
        reproduction.check(summary)


def test_the_source_must_exist_unchanged(summary, tmp_path):
    file = tmp_path / "verses.tsv"
    assert reproduction.open_source_of(summary).sha256 == summary["data_sha256"]
    file.write_text(file.read_text().replace("God", "god"))
    with pytest.raises(UserError, match=r"verses\.tsv: its content has changed since run 20260101"):
        reproduction.open_source_of(summary)
    file.unlink()
    with pytest.raises(
        UserError, match=r"verses\.tsv: run 20260101-smoke read it, but not today: "
    ):
        reproduction.open_source_of(summary)


def test_the_packaged_corpus_has_no_path_in_a_summary(tmp_path):
    places = Places(tmp_path / "runs", tmp_path / "serving_models")
    summary = run_summary.collect(preset("bible", "smoke"), opened(BIBLE), places, "1")
    assert summary["source"] is None
    assert reproduction.open_source_of(summary).kind == "packaged"


def test_changed_libraries_code_and_machine_are_reported(summary):
    assert reproduction.changes_since(summary) == []
    summary["versions"]["keras"] = "3.0.0"
    summary["machine"]["cores"] = "0"
    summary["code"]["mamba_model.scan"] = "0" * 64
    summary["code"]["data/schema/bible.pbtxt"] = "0" * 64
    cores, library, code = reproduction.changes_since(summary)
    assert cores == f"cores was 0, is {len(os.sched_getaffinity(0))}"
    assert library.startswith("keras was 3.0.0, is ")
    assert code == "code has changed: data/schema/bible.pbtxt, mamba_model.scan"


def test_a_folder_that_is_not_empty_is_refused(summary, tmp_path):
    source = reproduction.open_source_of(summary)
    with pytest.raises(UserError, match=r"expected a new or empty folder; name another one"):
        rerun(summary, source, keep=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"verses.tsv"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "run 'nothing': no such run; `tf-mamba runs` lists them"),
        (["latest", "--task", "imdb"], "run 'latest' of imdb: no such run"),
        (["latest"], "run 20260101-smoke ended with an error"),
    ],
)
def test_a_users_mistake_is_a_user_error(summary, tmp_path, capsys, arguments, message):
    places = Places(tmp_path / "runs", tmp_path / "serving_models")
    files.write_summary(summary | {"error": "ValueError: no"}, places)
    # --debug leaves the process's log settings and its standard error alone.
    command = ["reproduce", "--debug", "--root", str(tmp_path), *arguments]
    with pytest.raises(UserError, match=message):
        cli.main(command)
