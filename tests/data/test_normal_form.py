"""The normal forms: what they change, idempotence, and that RE2 agrees with Python."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from read_corpora import records

from data import task_files
from data.bible import formats as bible_formats
from data.bible import reader as bible
from data.normal_form import NormalForm

BIBLE, IMDB = (task_files.find(task).task.normal_form for task in ("bible", "imdb"))
MARKUP = NormalForm(markup=True)
OWN = NormalForm(rules=((" +", " "),), lower=True, markup=True)  # as `tf-mamba new` writes it

# Pieces that one rule may turn into the input of another.
PIECES = st.sampled_from(
    [
        *("<", "br", "BR", "/", ">", " ", "\n", "\r", "\t", "\x0b", "\xa0", "\u2028", "\u3000"),
        *("&", "amp;", "AMP;", "#38;", "quot;", "lt;", "gt;", "nbsp;", "#39;", "#8230;", "#345;"),
        *("\x00", "\x08", "\x7f", "\xad", "\u200b", "\x80", "\x85", "\x8e", "\x8d", "\x93", "\x9e"),
        *("’", "“", "—", "…", "´", "`", "[", "]", "æ", "Æ", "é", "İ", "K", "Σ", "ſ", "a", "😀"),
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join) | st.text(st.characters(codec="utf-8"))
FORMS = pytest.mark.parametrize("form", [BIBLE, IMDB, OWN], ids=["bible", "imdb", "own"])


def in_graph(form: NormalForm, texts: list[str]) -> list[str]:
    import tensorflow as tf

    from pipeline.transform.preprocessing import normalize

    column = tf.constant([text.encode() for text in texts])
    return [text.decode() for text in normalize(column, form).numpy()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("darkness [was] upon the face", "darkness was upon the face"),
        ("the LORD’s side", "the LORD's side"),
        ("Ænon near to Cæsar", "Aenon near to Caesar"),
        ("forgive their sin—; and", "forgive their sin-; and"),
        ("( for  Aaron )", "( for Aaron )"),
        ("  one [is] \r\n two  ", "one is\ntwo"),
    ],
)
def test_bible_folds_typography_and_keeps_case_punctuation_and_lines(text, expected):
    assert BIBLE.apply(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A film.<br /><br />Good<BR>one< br/>.", "a film.\ngood\none\n."),
        ("\x8ei\x9eek says \x93no\x94 \x96 for \x8014\x85", 'žižek says "no" - for €14...'),
        ("&amp;quot;It&#8217;s&QUOT; &lt;3 &#345;&nbsp;x", '"it\'s" <3 ř x'),
        ("´Ghost` ¨Jurassik Park¨ «so»", '\'ghost\' "jurassik park" "so"'),
        ("\t too \xa0 many \u3000 \r\n\r\n blanks \n", "too many\nblanks"),
        ("so\xad ft\x08\x00", "so ft"),
    ],
)
def test_imdb_folds_markup_entities_typography_and_case(text, expected):
    assert IMDB.apply(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>One &amp; two</p><p>three<br/>four</p>", "\nOne & two\n\nthree\nfour\n"),
        ("a <b class='x'>bold</b> word", "a  bold  word"),
        ("&amp;lt;b&amp;gt;loud", " loud"),
        ("<!-- hidden -->said", " said"),
        ("&ldquo;No&rdquo;, she said&hellip;", '"No", she said...'),
        ("2 < 3 and 5 > 4, or a <3", "2 < 3 and 5 > 4, or a <3"),
    ],
)
def test_markup_becomes_text_and_what_is_no_tag_stays(text, expected):
    assert MARKUP.apply(text) == expected


@pytest.mark.parametrize(
    "text",
    ["<a href=<b>x>", "<i<b>mg>", "</b</a href=>>", "br<br<b>>", "b<br<i-->&gt;", "<b<lt;>&gt;"],
)
def test_a_tag_within_a_tag_leaves_no_tag(text):
    once = MARKUP.apply(text)
    assert MARKUP.apply(once) == once


@FORMS
@given(text=TEXTS)
def test_applying_a_form_twice_is_applying_it_once(form, text):
    once = form.apply(text)
    assert form.apply(once) == once


@pytest.mark.slow  # importing TensorFlow
@FORMS
@settings(deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=20))
def test_graph_and_python_agree_on_any_text(form, texts):
    assert in_graph(form, texts) == [form.apply(text) for text in texts]


@pytest.mark.slow  # importing TensorFlow
def test_a_nul_costs_no_more_than_itself_in_lower_case():
    form = NormalForm(lower=True)
    assert in_graph(form, ["Be\x00fore", "\x00"]) == ["before", ""]
    assert [form.apply(text) for text in ("Be\x00fore", "\x00")] == ["before", ""]


@pytest.mark.slow
def test_graph_and_python_agree_on_all_verses():
    verses = [verse.text for verse in bible_formats.packaged_verses(bible.packaged_file())]
    normal = [BIBLE.apply(verse) for verse in verses]
    assert len(verses) == 31102
    assert in_graph(BIBLE, verses) == normal
    assert [BIBLE.apply(verse) for verse in normal] == normal


@pytest.mark.slow
def test_graph_and_python_agree_on_all_reviews():
    reviews = [str(record.features["text"]) for record in records(task_files.find("imdb"))]
    normal = [IMDB.apply(review) for review in reviews]
    assert len(reviews) == 25000
    assert in_graph(IMDB, reviews) == normal
    assert [IMDB.apply(review) for review in normal] == normal


def test_no_c1_character_and_no_markup_is_left_in_a_review():
    every_c1 = "".join(map(chr, range(0x80, 0xA0)))
    assert not set(IMDB.apply(every_c1)) & set(every_c1)
