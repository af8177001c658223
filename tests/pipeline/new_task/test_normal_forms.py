"""Every rule of the forms that `new` proposes."""

import pytest
import tensorflow as tf
from own_corpora import snippets, verses

from pipeline.new_task.normal_forms import normal_form

_HARD = (
    "A&amp;amp;quot;B &lt;b&gt;C&lt;/b&gt; D<br/>E<br />F</p>G <a href='x'>H</a> 1 < 2 > 0",
    "tab\there\u00a0and\u2003there\r\n\r\n\r\nnew\rline\u2028end  ",
    "\ufeffzero\u200bwidth soft\u00adhyphen \x07bell “quoted” ‘it’s’ – dash… İstanbul ΣΑΣ",
    "  indented\n    more  \n\n\n\nafter blank lines",
)


def _texts():
    return [*_HARD, *(text for text, _ in snippets()[::40]), *(v.text for v in verses()[::200])]


@pytest.mark.parametrize("kind", ["classification", "next-token"])
@pytest.mark.parametrize("markup", [0.0, 1.0])
def test_the_form_of_a_form_is_the_same(kind, markup):
    apply = normal_form(kind, markup).apply
    for text in _texts():
        assert apply(apply(text)) == apply(text)


@pytest.mark.parametrize("kind", ["classification", "next-token"])
def test_tensorflow_applies_the_rules_alike(kind):
    form = normal_form(kind, 1.0)
    found = tf.constant([text.encode() for text in _texts()])
    for pattern, replacement in form.all_rules:
        found = tf.strings.regex_replace(found, pattern, replacement)
    if form.lower:
        found = tf.strings.lower(found, encoding="utf-8")
    assert [text.decode() for text in found.numpy()] == [form.apply(text) for text in _texts()]


def test_a_classification_folds_case_spaces_quotes_and_tags():
    apply = normal_form("classification", 1.0).apply
    assert apply(_HARD[0]) == 'a&"b c d\ne\nf\ng h 1 < 2 > 0'.replace('a&"b', 'a"b')
    assert apply("“Good”  – it’s…\r\n\r\n fine ") == '"good" - it\'s...\nfine'


def test_a_text_to_be_continued_keeps_case_quotes_and_indents():
    apply = normal_form("next-token", 0.0).apply
    assert apply("First “one”\r\n    second  \n\n\n\nThird") == "First “one”\n    second\n\nThird"
