import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from data.bible import reader as bible
from data.imdb import reader as imdb
from data.records import Record
from data.tasks import TASKS
from pipeline.transform import tokenization, vocabulary
from pipeline.transform.preprocessing import head_and_tail, normalize
from pipeline.transform.token_ids import LINE_END_ID, RESERVED
from pipeline.transform.tokenization import byte_alphabet


def _texts(module, most=None):
    source = module.open_source(None)
    items = itertools.chain.from_iterable(
        module.read_shard(source, shard, 10**6) for shard in source.shards
    )
    texts = (item.features["text"] for item in items if isinstance(item, Record))
    return list(itertools.islice(texts, most))


@pytest.fixture(scope="module")
def vocabulary_file(tmp_path_factory):
    """A vocabulary learned on 60 chapters."""
    words = tokenization.split_words(tf.constant(_texts(bible, 60))).flat_values.numpy()
    counts = zip(*np.unique(words, return_counts=True), strict=True)
    pieces = vocabulary.learn([(word, int(n)) for word, n in counts], size=600)
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.txt"
    path.write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    return path


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
def test_decoding_gives_back_any_text(vocabulary_file, text):
    ids = _encode([text], vocabulary_file)
    assert _decoded(ids, vocabulary_file) == [text.encode()]


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=100))
def test_decoding_gives_back_any_bytes(vocabulary_file, raw):
    assert _decoded(_encode([raw], vocabulary_file), vocabulary_file) == [raw]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "module"), [("bible", bible), ("imdb", imdb)])
def test_decoding_gives_back_the_normal_form_of_the_whole_corpus(vocabulary_file, name, module):
    texts = _texts(module)
    for start in range(0, len(texts), 500):
        normal = normalize(tf.constant(texts[start : start + 500]), TASKS[name].normal_form)
        words = tokenization.split_words(normal)
        ids = tokenization.encode(words, tf.constant(str(vocabulary_file)))
        assert _decoded(ids, vocabulary_file) == normal.numpy().tolist()


@pytest.mark.parametrize(("name", "module"), [("bible", bible), ("imdb", imdb)])
def test_graph_and_python_agree_on_the_normal_form(name, module):
    form = TASKS[name].normal_form
    texts = _texts(module, 500)
    assert [text.decode() for text in normalize(tf.constant(texts), form).numpy()] == [
        form.apply(text) for text in texts
    ]


def test_invalid_utf8_becomes_the_replacement_character():
    normal = normalize(tf.constant([b"a\xff b"]), TASKS["bible"].normal_form)
    assert normal.numpy()[0].decode() == "a\ufffd b"


def test_words_carry_their_leading_space_and_line_ends_stand_alone():
    words = tokenization.split_words(tf.constant(["In the LORD's day,\nand 40 nights"]))
    assert [word.decode() for word in words[0].numpy()] == [
        "In", "Ġthe", "ĠLORD", "'s", "Ġday", ",", "Ċ", "and", "Ġ40", "Ġnights",
    ]  # fmt: skip


def test_line_end_is_one_known_id(vocabulary_file):
    assert _encode(["\n\n"], vocabulary_file).to_list() == [[LINE_END_ID, LINE_END_ID]]


def test_vocabulary_begins_with_reserved_and_bytes_and_is_not_larger_than_asked(vocabulary_file):
    pieces = vocabulary_file.read_text("utf-8").split("\n")[:-1]
    assert tuple(pieces[:2]) == RESERVED
    assert pieces[2:258] == list(byte_alphabet())  # LINE_END_ID counts on this order
    assert len(set(pieces)) == len(pieces) <= 600


def test_learning_does_not_depend_on_the_order_of_counts():
    words = tokenization.split_words(tf.constant(_texts(bible, 3))).flat_values.numpy()
    counts = [(w, int(n)) for w, n in zip(*np.unique(words, return_counts=True), strict=True)]
    assert vocabulary.learn(counts, 400) == vocabulary.learn(counts[::-1], 400)


def test_too_small_a_vocabulary_says_why():
    with pytest.raises(ValueError, match=r"more than 258 .* got 100"):
        vocabulary.learn([(b"a", 1)], 100)


def test_head_and_tail_keeps_both_ends_and_short_rows_whole():
    tokens = tf.ragged.constant([[1, 2, 3, 4, 5, 6, 7], [1, 2, 3], [1, 2, 3, 4, 5], []], tf.int64)
    assert head_and_tail(tokens, 2, 3).to_list() == [
        [1, 2, 5, 6, 7],
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [],
    ]
