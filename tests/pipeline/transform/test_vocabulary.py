import shutil

import pytest

from pipeline.transform import vocabulary
from pipeline.transform.token_ids import RESERVED
from pipeline.transform.tokenization import byte_alphabet


def test_vocabulary_begins_with_reserved_and_bytes_and_is_not_larger_than_asked(vocabulary_file):
    pieces = vocabulary_file.read_text("utf-8").split("\n")[:-1]
    assert tuple(pieces[:2]) == RESERVED
    assert pieces[2:258] == list(byte_alphabet())  # LINE_END_ID depends on this order
    assert len(set(pieces)) == len(pieces) <= 600


def test_the_hash_of_the_pieces_depends_on_their_order_only(vocabulary_file, tmp_path):
    graph = vocabulary_file.parents[2]
    copy = shutil.copytree(graph, tmp_path / "graph")
    before = vocabulary.pieces_sha256(str(graph))
    assert vocabulary.pieces_sha256(str(copy)) == before
    pieces = vocabulary.read_vocabulary(str(copy))
    pieces[300], pieces[301] = pieces[301], pieces[300]
    asset = copy / vocabulary_file.relative_to(graph)
    asset.write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    assert vocabulary.pieces_sha256(str(copy)) != before


def test_learning_does_not_depend_on_the_order_of_counts(counted):
    assert vocabulary.learn(counted, 400) == vocabulary.learn(counted[::-1], 400)


def test_too_small_a_vocabulary_says_why():
    with pytest.raises(ValueError, match=r"more than 258 .* got 100"):
        vocabulary.learn([(b"a", 1)], 100)
