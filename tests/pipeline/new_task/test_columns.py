"""Columns, classes and splits, told from real rows."""

import pytest
from own_corpora import snippets, verses, verses_by_part, write_csv

from data.errors import UserError
from pipeline.new_task.asked import Asked
from pipeline.new_task.columns import chosen


def _chosen(tmp_path, header, rows, kind="classification", **options):
    write_csv(tmp_path / "corpus.csv", header, rows)
    return chosen(Asked("corpus", kind, str(tmp_path / "corpus.csv"), **options))


def test_the_longest_column_is_the_text_and_the_one_that_repeats_the_label(tmp_path):
    rows = [(i, part, text) for i, (text, part, _) in enumerate(verses_by_part(every=20))]
    found = _chosen(tmp_path, ["number", "part", "verse"], rows)
    assert (found.reading.text, found.reading.label) == ("verse", "part")
    assert found.columns == ("number", "part", "verse")


def test_two_columns_of_labels_are_not_guessed(tmp_path):
    rows = [(text, part, book) for text, part, book in verses_by_part(every=20)]
    with pytest.raises(
        UserError, match=r"which column holds the label; give --label .*part \('law"
    ):
        _chosen(tmp_path, ["text", "part", "book"], rows)
    assert _chosen(tmp_path, ["text", "part", "book"], rows, label="book").reading.label == "book"


def test_a_source_that_is_sorted_by_label_is_told_by_rows_from_all_of_it(tmp_path):
    rows = [(text, part, book) for text, part, book in verses_by_part()]
    found = _chosen(tmp_path, ["verse", "part", "book"], rows, columns=("book",))
    assert found.reading.label == "part"


def test_two_columns_of_sentences_are_not_guessed(tmp_path):
    texts = [text for text, _ in snippets()[:200]]
    with pytest.raises(UserError, match="which column holds the text; give --text"):
        _chosen(tmp_path, ["one", "two"], zip(texts, texts[::-1], strict=True), "next-token")


def test_a_column_that_there_is_not_is_named(tmp_path):
    with pytest.raises(
        UserError, match=r"--label stars: .* has no such column; it has text, label"
    ):
        _chosen(tmp_path, ["text", "label"], snippets()[:50], label="stars")


def test_numbers_are_in_their_order_and_case_makes_no_class(tmp_path):
    labels = ["10", "9", "Ten", "ten", "ten", "1.5"]
    rows = [(text, labels[i % 6]) for i, (text, _) in enumerate(snippets()[::14])]
    assert _chosen(tmp_path, ["text", "label"], rows).classes == ("1.5", "9", "10", "ten")


def test_a_column_of_sentences_is_no_label(tmp_path):
    rows = [(text, text) for text, _ in snippets()]
    with pytest.raises(UserError, match=r"more than 1,000 different values.*no column of labels"):
        _chosen(tmp_path, ["text", "label"], rows)


def test_one_label_is_too_few(tmp_path):
    with pytest.raises(UserError, match="expected two or more labels, found 1"):
        _chosen(tmp_path, ["text", "label"], [(text, "1") for text, _ in snippets()[:50]])


def test_a_column_of_splits_by_other_names(tmp_path):
    names = ["Train", "training", "dev", "test"]
    rows = [(text, label, names[i % 4]) for i, (text, label) in enumerate(snippets()[::20])]
    split = _chosen(tmp_path, ["text", "label", "part"], rows, split_column="part").reading.split
    assert (split.by, split.column) == ("column", "part")
    assert split.names == {"training": "train", "dev": "eval"}


def test_without_eval_the_test_records_are_eval(tmp_path):
    rows = [(t, label, ("train", "test")[i % 2]) for i, (t, label) in enumerate(snippets()[::80])]
    split = _chosen(tmp_path, ["text", "label", "part"], rows, split_column="part").reading.split
    assert split.names == {"test": "eval"}


def test_groups_are_no_splits(tmp_path):
    header, rows = ["text", "book"], [(verse.text, verse.book) for verse in verses()[::30]]
    with pytest.raises(UserError, match=r"found '1 Chronicles'; .* give --group-column"):
        _chosen(tmp_path, header, rows, "next-token", split_column="book")
    split = _chosen(tmp_path, header, rows, "next-token", group_column="book").reading.split
    assert (split.by, split.column) == ("group", "book")


def test_a_feature_of_the_pipeline_is_no_column_to_keep(tmp_path):
    rows = [(text, label, len(text)) for text, label in snippets()[:50]]
    with pytest.raises(UserError, match="--columns characters: expected another name"):
        _chosen(tmp_path, ["text", "label", "characters"], rows, columns=("characters",))
