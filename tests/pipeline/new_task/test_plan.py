"""From a file to a valid task: snippets of two classes, verses of five, one long text."""

import dataclasses
import re

import pytest
from google.protobuf import text_format
from own_corpora import PARTS, snippets, verses_by_part, write_csv
from tensorflow_metadata.proto.v0 import schema_pb2

from data import task_files
from data.errors import UserError
from pipeline import presets
from pipeline.new_task import plan, printed
from pipeline.new_task.asked import Asked


def _made(corpora, folder, name, kind, file, **options):
    asked = Asked(name, kind, str(corpora / file), **options)
    return plan.made(asked, plan.check_name(name, folder, force=False))


@pytest.fixture(scope="module")
def five(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("five") / "tasks"
    made = _made(corpora, folder, "parts", "classification", "parts.csv", columns=("book",))
    plan.write(made, folder / "parts")
    return made, folder


def test_five_classes_are_found_with_their_counts(five):
    made, folder = five
    file = task_files.find("parts", folder)
    assert file.task.classes == tuple(sorted(PARTS))
    assert (file.reading.text, file.reading.label, file.reading.columns) == (
        "verse",
        "part",
        ("book",),
    )
    counts = {name: 0 for name in PARTS}
    for _, part, _ in verses_by_part(every=2):
        counts[part] += 1
    found = made.found
    of_all = [
        sum(of_class)
        for of_class in zip(*(found.class_counts(s, 5) for s in ("train", "eval")), strict=True)
    ]
    assert dict(zip(made.task.classes, of_all, strict=True)) == counts
    assert found.total == sum(counts.values())
    assert not found.dead
    told = printed.findings(made)
    assert "classes: 5" in told
    assert re.search(rf"history +{counts['history']:,} +26.1%", told)
    assert "always 'history': accuracy 0.2" in told


def test_the_source_is_found_from_another_folder(five, corpora):
    _, folder = five
    assert task_files.find("parts", folder).source == str(corpora / "parts.csv")


def test_the_schema_bounds_every_feature(five):
    _, folder = five
    schema = schema_pb2.Schema()
    text_format.Parse(task_files.find("parts", folder).schema, schema)
    features = {feature.name: feature for feature in schema.feature}
    assert list(features) == ["text", "characters", "label", "book", "length_bucket"]
    for feature in features.values():
        assert (feature.presence.min_fraction, feature.presence.min_count) == (1.0, 1)
        assert [dim.size for dim in feature.shape.dim] == [1]
    assert (features["label"].int_domain.min, features["label"].int_domain.max) == (0, 4)
    assert features["characters"].int_domain.max == 20_000
    books = {book for books in PARTS.values() for book in books}
    assert set(features["book"].string_domain.value) == books
    bounds = task_files.find("parts", folder).reading.length_buckets
    assert features["length_bucket"].string_domain.value[0] == f"1-{bounds[0]}"
    assert features["length_bucket"].string_domain.value[-1] == f"{bounds[-1] + 1}+"


def test_thresholds_lie_between_chance_and_the_plain_model(five):
    made, folder = five
    file = task_files.find("parts", folder)
    chance, plain = made.chance["majority"], made.chance["tfidf_logistic"]
    for name in ("quick", "full", "best"):
        limits = presets.of_file(file, name).evaluation
        assert chance["accuracy"] < limits.min_accuracy < plain["accuracy"]
        assert chance["macro_f1"] < limits.min_macro_f1 < plain["macro_f1"]
        assert limits.slices == ("length_bucket", "book")
    assert presets.of_file(file, "best").training.members == 3
    assert presets.of_file(file, "smoke").evaluation.min_accuracy == 0
    share = file.checks.lowest_class_share
    assert 0.02 < share < min(made.found.class_counts("train", 5)) / made.found.records["train"]


def test_presets_train_no_longer_than_the_built_in_ones(five):
    made, folder = five
    file = task_files.find("parts", folder)
    for name in ("quick", "full", "best", "smoke"):
        own, base = presets.of_file(file, name), presets.preset(file.base, name)
        assert own.training.steps <= base.training.steps
        assert own.pretraining.steps <= base.pretraining.steps
        assert own.training.buckets[-1][0] == own.transform.head + own.transform.tail
        assert all(length * batch <= 4_224 for length, batch in own.training.buckets)
    assert made.sized.cut["quick"] < 0.02  # of verses, which are short


def test_the_normal_form_of_a_form_is_the_same(five):
    made, _ = five
    apply = made.task.normal_form.apply
    for record in made.found.samples["eval"]:
        once = apply(record["text"])
        assert apply(once) == once == once.lower()


def test_two_classes_named_by_numbers(corpora, tmp_path):
    made = _made(corpora, tmp_path, "snippets", "classification", "snippets.csv")
    configs = plan.write(made, tmp_path / "snippets")
    assert made.task.classes == ("0", "1")
    assert made.found.total == 8_530
    assert 0.74 < made.chance["tfidf_logistic"]["accuracy"] < 0.80
    assert "<" not in "".join(pattern for pattern, _ in made.task.normal_form.rules)  # no markup
    assert configs["quick"].transform.tail == 0  # snippets are read whole


def test_one_long_text(corpora, tmp_path):
    made = _made(
        corpora, tmp_path, "genesis", "next-token", "genesis.txt", documents_at="^Chapter [0-9]+$"
    )
    configs = plan.write(made, tmp_path / "genesis")
    assert made.found.total == 50
    xz, ngrams = (made.chance[name]["bits_per_char"] for name in ("xz", "ngrams"))
    assert configs["quick"].evaluation.max_bits_per_char == pytest.approx(xz, abs=0.01)
    assert configs["full"].evaluation.max_bits_per_char <= min(xz, ngrams)
    assert configs["quick"].evaluation.slices == ()
    assert configs["quick"].model.vocabulary_size == 600
    assert configs["smoke"].data.fraction == 1.0  # there is little text
    assert configs["quick"].reading.documents_at == "^Chapter [0-9]+$"
    training = configs["quick"].training
    assert training.batch * (training.window + 1) * 4 <= made.sized.tokens


def test_markup_gets_rules(tmp_path):
    rows = [(f"<p>{text} &amp; more<br/>", label) for text, label in snippets()[::10]]
    write_csv(tmp_path / "marked.csv", ["text", "label"], rows)
    made = _made(tmp_path, tmp_path, "marked", "classification", "marked.csv")
    assert made.found.markup == len(rows)
    assert made.task.normal_form.apply("<p>Good &amp;amp; <i>bad</i><br/>") == "good & bad"


def test_records_that_cannot_be_used_are_told(tmp_path):
    rows = [*snippets()[::10], ("", "1"), ("   ", "0"), ("no label", "")]
    write_csv(tmp_path / "faults.csv", ["text", "label"], rows)
    made = _made(tmp_path, tmp_path, "faults", "classification", "faults.csv")
    assert made.found.dead == {"empty_text": 2, "bad_label": 1}
    told = printed.findings(made)
    assert "records that cannot be used: 3 (0.35%)" in told
    assert "bad_label 1, first at" in told


def test_longer_records_raise_the_limit(tmp_path):
    rows = [*snippets()[::10], ("a long story " * 3_000, "1")]
    write_csv(tmp_path / "long.csv", ["text", "label"], rows)
    made = _made(tmp_path, tmp_path, "long", "classification", "long.csv")
    configs = plan.write(made, tmp_path / "tasks" / "long")
    assert configs["quick"].data.max_characters == 49_000
    assert "max: 49000" in made.schema


def test_names_that_are_taken_or_bad_are_refused(five):
    _, folder = five
    with pytest.raises(UserError, match=r"task\.toml: is there already; --force overwrites it"):
        plan.check_name("parts", folder, force=False)
    assert plan.check_name("parts", folder, force=True) == folder / "parts"
    for name in task_files.built_in_tasks():
        with pytest.raises(UserError, match="is the name of a built-in task"):
            plan.check_name(name, folder, force=True)
    with pytest.raises(UserError, match="the task's name 'My Task'"):
        plan.check_name("My Task", folder, force=False)


def test_what_is_not_valid_is_not_written(five, tmp_path):
    made, _ = five
    with pytest.raises(UserError, match="classes: expected two or more"):
        broken = made.toml.replace(
            'classes = ["gospels", "history", "law", "poetry", "prophets"]', ""
        )
        assert broken != made.toml
        plan.write(dataclasses.replace(made, toml=broken), tmp_path / "tasks" / "parts")
    assert list((tmp_path / "tasks").iterdir()) == []
