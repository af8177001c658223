import numpy as np
import pytest

from pipeline.training.batches import LabelledTexts, WholeDocuments, Windows
from pipeline.transform.token_ids import LINE_END_ID, PADDING_ID, START_ID


def _documents(lengths):
    return [np.arange(100 * i, 100 * i + n, dtype=np.int32) for i, n in enumerate(lengths, 3)]


def test_windows_hold_each_document_between_start_and_line_end():
    windows = Windows(_documents([7, 5, 9]), batch=1, window=4, seed=3)
    inputs = np.concatenate([windows[i][0][0] for i in range(windows.batches_per_epoch)])
    text = inputs.tolist()
    starts = [i for i, token in enumerate(text) if token == START_ID]
    assert starts[0] == 0
    assert all(text[i - 1] == LINE_END_ID for i in starts[1:])


def test_targets_are_the_inputs_one_token_on_and_rows_go_on_in_the_next_window():
    windows = Windows(_documents([50, 60, 70]), batch=2, window=6, seed=3)
    (first, first_targets), (second, _) = windows[0], windows[1]
    np.testing.assert_array_equal(first[:, 1:], first_targets[:, :-1])
    np.testing.assert_array_equal(first_targets[:, -1], second[:, 0])


def test_an_epoch_has_another_order_and_a_seed_the_same():
    def texts(seed):
        windows = Windows(_documents([20, 30, 40, 25, 35]), batch=1, window=10, seed=seed)
        n = windows.batches_per_epoch
        return [np.concatenate([windows[e * n + i][0] for i in range(n)]) for e in (0, 1)]

    first, second = texts(seed=1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(texts(seed=1)[1], second)
    assert not np.array_equal(texts(seed=2)[0], first)


def test_a_batch_does_not_depend_on_which_were_read_before():
    whole = Windows(_documents([20, 30, 40, 25]), batch=2, window=5, seed=1)
    batches = [whole[i] for i in range(2 * whole.batches_per_epoch)]
    alone = Windows(_documents([20, 30, 40, 25]), batch=2, window=5, seed=1)
    for i in reversed(range(len(batches))):
        np.testing.assert_array_equal(alone[i][0], batches[i][0])


def test_too_little_text_for_a_batch_says_how_much_is_needed():
    with pytest.raises(ValueError, match=r"at least 520 tokens .* got 12"):
        Windows(_documents([10]), batch=8, window=64, seed=1)


BUCKETS = ((4, 3), (9, 2))


def _labelled(seed):
    return LabelledTexts(_documents([1, 9, 4, 5, 2, 3, 8]), np.arange(7), BUCKETS, seed)


def _rows(batches):
    return [
        (label, tokens[tokens != PADDING_ID].tolist())
        for batch in batches
        for tokens, label, weight in zip(*batch, strict=True)
        if weight
    ]


def test_every_text_comes_once_an_epoch_in_the_smallest_bucket_that_holds_it():
    texts = _labelled(seed=4)
    batches = [texts[i] for i in range(texts.batches_per_epoch)]
    assert {batch[0].shape for batch in batches} == {(3, 4), (2, 9)}
    assert {batch[1].dtype for batch in batches} == {np.dtype(np.int32)}
    rows = _rows(batches)
    assert sorted(label for label, _ in rows) == list(range(7))
    originals = _documents([1, 9, 4, 5, 2, 3, 8])
    assert all(tokens == originals[int(label)].tolist() for label, tokens in rows)


def test_rows_that_fill_up_a_batch_have_no_weight():
    texts = _labelled(seed=None)
    weights = np.concatenate([texts[i][2] for i in range(texts.batches_per_epoch)])
    assert weights.sum() == 7
    assert len(weights) > 7


def test_an_epoch_shuffles_and_evaluation_does_not():
    shuffled = _labelled(seed=4)
    n = shuffled.batches_per_epoch
    first, second = (_rows(shuffled[e * n + i] for i in range(n)) for e in (0, 1))
    assert first != second
    ordered = _labelled(seed=None)
    assert [int(label) for label, _ in _rows(ordered[i] for i in range(n))] == [0, 2, 4, 5, 1, 3, 6]


def test_a_text_longer_than_the_last_bucket_is_refused():
    with pytest.raises(ValueError, match="last bucket, 4 tokens; got 1, longest 5"):
        LabelledTexts(_documents([5]), np.zeros(1), ((4, 2),))


def test_windows_go_on_within_an_epoch_and_begin_anew_with_the_next(genesis):
    windows = Windows([genesis[:400]], batch=4, window=16, seed=1)
    n = windows.batches_per_epoch
    assert n > 1
    assert [windows.goes_on(i) for i in range(n + 1)] == [False, *[True] * (n - 1), False]
    np.testing.assert_array_equal(windows[0][1][:, -1], windows[1][0][:, 0])


def test_whole_documents_hold_each_token_once_as_a_target(genesis):
    documents = [genesis[:40], genesis[100:115], genesis[200:230], genesis[:0]]
    batches = WholeDocuments(documents, batch=2, window=8)
    targets = [batches[i][1] for i in range(batches.batches_per_epoch)]
    expected = sorted([*np.concatenate(documents), *[LINE_END_ID] * len(documents)])
    assert sorted(t for batch in targets for t in batch[batch != 0]) == expected
    starts = [i for i in range(batches.batches_per_epoch) if not batches.goes_on(i)]
    assert len(starts) == 2  # groups
    for i in range(batches.batches_per_epoch):
        assert batches[i][0].shape == (2, 8)
        first = batches[i][0][:, 0]
        assert (first == START_ID).all() == (i in starts)
