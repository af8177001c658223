"""The run's page, with the artifacts of real stages and without any."""

import dataclasses
import re
from pathlib import Path

import pytest
from page_reader import PageReader, check
from read_corpora import IMDB

from pipeline.code_hash import Code
from pipeline.evaluation.verdict import Verdict
from pipeline.presets import preset
from pipeline.report import figures, page
from pipeline.report.evaluation import Evaluation
from pipeline.report.inputs import Item, Run, Stage
from pipeline.report.measurements import corpus
from pipeline.report.sections import evaluation as evaluation_section
from pipeline.report.sections import examples as examples_section

HOSTILE = "<script>alert('$x$')</script> & \"quotes\" </table>"


def _run(task="imdb", **parts):
    return Run(
        **{
            "config": dataclasses.asdict(preset(task, "smoke")),
            "versions": {"tfx": "1.16.0"},
            "artifacts": {},
            **parts,
        }
    )


@pytest.mark.parametrize("task", ["bible", "imdb"])
def test_a_run_without_artifacts_gets_every_section_and_no_failure(task):
    made = page.render(_run(task, error=f"UserError: {HOSTILE}", stages=()))
    assert made.failures == ()
    read = check(made.html)
    assert set(page.SECTIONS) <= set(read.ids)
    for words in ("Failed: UserError", "No record was read", "Nothing was trained", "not evaluated",
                  "No stage began"):  # fmt: skip
        assert words in read.text
    assert HOSTILE in read.text


def test_the_data_section_shows_the_ledger_and_escapes_the_text(ingest, reviews, write_reviews):
    rows = [*reviews[:40], (f"{HOSTILE} {reviews[0][0]}", "neither"), (reviews[1][0], 1)]
    ingested = ingest(IMDB, write_reviews(rows), max_dead_letter_share=0.5)
    run = _run(
        artifacts={"TextExampleGen.records": ingested.records.uri,
                   "TextExampleGen.examples": ingested.examples.uri},
    )  # fmt: skip
    words = corpus.frequent_words(run)
    made = page.render(run.with_measurements({"words": words}))
    assert made.failures == ()
    read = check(made.html)
    assert HOSTILE in read.text
    assert "<script" not in made.html
    (reason,) = ingested.ledger["dead_letters"]
    assert reason in read.text
    text = " ".join(e["text"] for e in ingested.read("train")).lower()
    assert dict(words["words"])["the"] == len(re.findall(r"\bthe\b(?!['’])", text))


def test_failed_measurements_are_shown_in_the_page_and_in_the_failures():
    made = page.render(_run(measurements={"model": {"error": f"ValueError: {HOSTILE}"}}))
    assert made.failures == (f"measurement model: ValueError: {HOSTILE}",)
    assert f"could not be measured: ValueError: {HOSTILE}" in check(made.html).text


def test_a_section_that_fails_does_not_affect_the_others(tmp_path):
    (tmp_path / "training.json").write_text("{}")
    made = page.render(_run(artifacts={"Trainer.model_run": str(tmp_path)}))
    assert made.failures == ("section Training: KeyError: 'parameters'",)
    read = check(made.html)
    assert "This section could not be made: KeyError" in read.text
    assert set(page.SECTIONS) <= set(read.ids)


def _stages():
    examples = Item(2, "examples", "Examples", "/a/TextExampleGen/examples/2")
    model = Item(5, "model", "Model", "/a/Trainer/model/7")
    return (
        Stage("TextExampleGen", "CACHED", 1000.0, 0.0, (), (examples,)),
        Stage("Trainer", "COMPLETE", 1000.5, 300.25, (examples,), (model,)),
        Stage("Pusher", "FAILED", 1300.75, 1.5, (model,), ()),
    )


def test_times_and_lineage_are_drawn_and_described():
    run = _run(stages=_stages(), run_id="20261124-1", error="OSError: x")
    read = check(page.render(run).html)
    assert "TextExampleGen from 0.0 s for 0.0 s" in read.text
    assert "Trainer from 0.5 s for 300.2 s" in read.text
    arrows = "source to TextExampleGen; TextExampleGen to Trainer; Trainer to Pusher."
    assert f"Arrows: {arrows}" in read.text
    assert len(read.drawings) == 2


def test_the_same_run_gives_the_same_page_to_the_byte():
    run = _run(stages=_stages())
    assert page.render(run).html == page.render(run).html


def test_a_drawing_has_no_fixed_colour_and_unique_ids():
    def draw(name):
        return figures.draw(
            name,
            "Loss <1>",
            "It & falls.",
            lambda axes: figures.lines(axes, {"train": ([1, 2], [3, 2])}, "step $x$", "loss"),
        )

    svg = draw("first")
    assert not re.search(r"#[0-9a-f]{6}", svg)
    assert "step $x$" in svg
    assert "http" not in svg
    both = PageReader.read(svg + draw("second"))
    assert len(both.ids) == len(set(both.ids)) > 4


def test_words_with_weights_are_marked_by_sign():
    parts = examples_section._marked("A dull film, DULL and great.", {"dull": -1.0, "great": 2.0})
    assert "".join(text for text, _ in parts) == "A dull film, DULL and great."
    assert [part for part in parts if part[1]] == [
        ("dull", "down"),
        ("DULL", "down"),
        ("great", "up"),
    ]


CLASSES = ("law", "poetry", "history")


def test_the_confusion_matrix_has_a_row_and_a_column_per_class():
    found = {"count": 60, "confusion": [[10, 5, 5], [0, 20, 0], [1, 0, 19]]}
    table = evaluation_section._confusion(found, CLASSES)
    assert table.head == ("label", *CLASSES, "correct")
    assert table.rows == [
        ("law", "10", "5", "5", "0.500"),
        ("poetry", "0", "20", "0", "1.000"),
        ("history", "1", "0", "19", "0.950"),
    ]


def test_of_many_classes_the_most_confused_pairs_are_shown():
    classes = [f"book {i}" for i in range(30)]
    confusion = [[40 if i == j else 0 for j in range(30)] for i in range(30)]
    confusion[7][3], confusion[3][7], confusion[29][0] = 10, 2, 160
    table = evaluation_section._confusion({"count": 1372, "confusion": confusion}, classes)
    assert table.rows == [
        ("book 29", "book 0", "160", "80.00%"),
        ("book 7", "book 3", "10", "20.00%"),
        ("book 3", "book 7", "2", "4.76%"),
    ]


def _evaluated(classes):
    return Evaluation(
        values={"accuracy": 0.9, "macro_f1": 0.85, "auc": 0.95},
        last={},
        intervals={},
        classes=classes,
        class_intervals={},
        slices={},
        slice_intervals={},
        reliability=(),
        verdict=Verdict(True, ()),
        not_checked=(),
    )


def test_the_classes_with_the_lowest_f1_come_first():
    classes = {
        f"book {i}": {"precision": 0.9, "recall": 0.8, "f1": (50 + i * 7 % 20) / 100}
        for i in range(20)
    }
    del classes["book 4"]["f1"]  # a class without texts
    table, fold = evaluation_section._classes(_evaluated(classes))
    assert table.caption == "The 12 of 20 classes with the lowest F1"
    assert [row[0] for row in table.rows[:3]] == ["book 0", "book 3", "book 6"]
    assert [row[3] for row in table.rows] == sorted(row[3] for row in table.rows)
    assert len(fold.blocks[0].rows) == 20
    assert fold.blocks[0].rows[-1] == ["book 4", "0.9000", "0.8000", "", ""]


def test_the_model_is_shown_beside_chance_and_a_simple_model():
    of_texts = {"texts": 1200, "of": 1200, "characters": 10_000}
    found = {
        "train": of_texts,
        "held_out": {**of_texts, "texts": 300},
        "majority": {"accuracy": 0.25, "macro_f1": 0.13, "log_loss": 1.4, "class": "law"},
        "tfidf_logistic": {"accuracy": 0.8, "macro_f1": 0.75, "log_loss": 0.6},
        "seconds": 0.5,
    }
    run = _run(measurements={"baselines": found})
    table = evaluation_section._baselines(run, _evaluated({}).values)
    assert "1,200 texts to learn from, 300 of split eval" in table.caption
    assert table.head == ("", "accuracy", "macro_f1", "log_loss")
    assert table.rows == [
        ("this model", "0.9000", "0.8500", ""),
        ("always the most frequent class", "0.2500", "0.1300", "1.4000"),
        ("logistic regression of words", "0.8000", "0.7500", "0.6000"),
    ]
    none = _run(measurements={"baselines": found | {"majority": None, "tfidf_logistic": None}})
    assert "too few" in evaluation_section._baselines(none, {}).text


def test_slices_are_cut_before_spaces_and_join_to_the_text(reviews):
    for text, _ in reviews[:20]:
        text = text.replace(". ", ".  ")
        slices = corpus._slices(text, 100)
        assert "".join(slices) == text
        assert all(len(each.encode()) <= 100 for each in slices)
        assert all(each.startswith(" ") for each in slices[1:])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_curves_have_enough_contrast(scheme):
    # WCAG 2.2: 4.5 for text (1.4.3), 3 for graphics (1.4.11).
    style = Path(page.__file__).with_name("templates").joinpath("style.css").read_text()
    of_scheme = style.split("prefers-color-scheme: dark")[scheme == "dark"]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", of_scheme.split("}")[0]))
    for name in ("ink", "muted", "good", "bad", "first", "second", "third"):
        assert _contrast(colours[name], colours["surface"]) >= 4.5, name


def _contrast(one, other):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    "fault",
    [
        '<img src="http://host/x.png">',
        "<style>p { background: url(//host/x) }</style>",
        "<script>1</script>",
        '<p onclick="x()">.</p>',
        "<table><tr></table>",
        '<p id="a">.</p><p id="a">.</p>',
        "<h3>.</h3>",
        "<table><thead></thead></table>",
        "<svg><g></g></svg>",
    ],
)
def test_the_check_of_pages_finds_faults(fault):
    check("<!DOCTYPE html><h1>.</h1>")
    with pytest.raises(AssertionError):
        check(f"<!DOCTYPE html><h1>.</h1>{fault}")


def test_templates_are_part_of_the_code_hash():
    hashed = Code().module_hashes(["pipeline.report.page"])
    assert {"report/templates/page.html.j2", "report/templates/style.css"} <= set(hashed)
