import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from data import task_files
from data.normal_form import NormalForm
from pipeline.transform import tokenization
from pipeline.transform.preprocessing import head_and_tail, normalize
from pipeline.transform.token_ids import LINE_END_ID
from pipeline.transform.tokenization import byte_alphabet


def _encode(texts, path):
    return tokenization.encode(tokenization.split_words(tf.constant(texts)), tf.constant(str(path)))


def _decoded(ids, path):
    return tokenization.decode(ids, path.read_text("utf-8").split("\n")[:-1]).numpy().tolist()


def test_alphabet_has_a_printable_character_for_each_byte():
    alphabet = byte_alphabet()
    assert len(set(alphabet)) == 256
    assert not any(character.isspace() for character in alphabet)
    mapped = tokenization.to_alphabet(tf.constant([bytes(range(256))])).numpy()[0]
    assert mapped.decode() == alphabet


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200))
def test_decoding_restores_any_text(vocabulary_file, text):
    ids = _encode([text], vocabulary_file)
    assert _decoded(ids, vocabulary_file) == [text.encode()]


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=100))
def test_decoding_restores_any_bytes(vocabulary_file, raw):
    assert _decoded(_encode([raw], vocabulary_file), vocabulary_file) == [raw]


@pytest.mark.slow
@pytest.mark.parametrize("task", task_files.built_in_tasks())
def test_decoding_restores_the_normal_form_of_the_whole_corpus(vocabulary_file, texts, task):
    form = task_files.find(task).task.normal_form
    for start in range(0, len(texts[task]), 500):
        normal = normalize(tf.constant(texts[task][start : start + 500]), form)
        words = tokenization.split_words(normal)
        ids = tokenization.encode(words, tf.constant(str(vocabulary_file)))
        assert _decoded(ids, vocabulary_file) == normal.numpy().tolist()


@pytest.mark.parametrize("task", task_files.built_in_tasks())
def test_graph_and_python_agree_on_the_normal_form(texts, task):
    form, some = task_files.find(task).task.normal_form, texts[task][:500]
    assert [text.decode() for text in normalize(tf.constant(some), form).numpy()] == [
        form.apply(text) for text in some
    ]


def test_invalid_utf8_becomes_the_replacement_character():
    normal = normalize(tf.constant([b"a\xff b"]), NormalForm())
    assert normal.numpy()[0].decode() == "a\ufffd b"


def test_words_carry_their_leading_space_and_line_ends_are_words():
    words = tokenization.split_words(tf.constant(["In the LORD's day,\nand 40 nights"]))
    assert [word.decode() for word in words[0].numpy()] == [
        "In", "Ġthe", "ĠLORD", "'s", "Ġday", ",", "Ċ", "and", "Ġ40", "Ġnights",
    ]  # fmt: skip


def test_line_end_is_one_known_id(vocabulary_file):
    assert _encode(["\n\n"], vocabulary_file).to_list() == [[LINE_END_ID, LINE_END_ID]]


def test_head_and_tail_keeps_both_ends_and_leaves_short_rows_unchanged():
    tokens = tf.ragged.constant([[1, 2, 3, 4, 5, 6, 7], [1, 2, 3], [1, 2, 3, 4, 5], []], tf.int64)
    assert head_and_tail(tokens, 2, 3).to_list() == [
        [1, 2, 5, 6, 7],
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [],
    ]
