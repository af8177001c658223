"""Batches of fixed shapes from token ids in memory, in an order that the seed determines.

XLA compiles once per shape, so there are few shapes. Batch i of a run depends on the seed and
i alone. `goes_on(i)` says whether the rows of batch i continue those of batch i - 1, so that
a model may carry its state over.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from pipeline.transform.token_ids import LINE_END_ID, PADDING_ID, START_ID


class Windows:
    """Training batches of a next-token model: windows over a stream of documents.

    Each epoch shuffles the documents, joins them, each between a start and a line-end token,
    and cuts the stream into `batch` rows. Each window of a row starts where the window before
    it ended:

        [START] In the ... [LINE END] [START] Now these ...
        inputs (batch, window)                  targets: the inputs shifted by one token
    """

    def __init__(self, documents: Sequence[np.ndarray], batch: int, window: int, seed: int):
        self._documents = documents
        self._batch = batch
        self._window = window
        self._seed = seed
        self._rows = functools.lru_cache(1)(self._shuffled_rows)
        tokens = sum(len(document) + 2 for document in documents)
        self.batches_per_epoch = (tokens // batch - 1) // window
        if self.batches_per_epoch < 1:
            raise ValueError(
                f"training text: expected at least {batch * (window + 1)} tokens for a batch of"
                f" {batch} windows of {window}, got {tokens}"
            )

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        epoch, position = divmod(index, self.batches_per_epoch)
        start = position * self._window
        window = self._rows(epoch)[:, start : start + self._window + 1]
        return window[:, :-1], window[:, 1:]

    def goes_on(self, index: int) -> bool:
        return index % self.batches_per_epoch > 0

    def _shuffled_rows(self, epoch: int) -> np.ndarray:
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._documents))
        stream = np.concatenate(
            [part for i in order for part in ([START_ID], self._documents[i], [LINE_END_ID])]
        ).astype(np.int32)
        length = len(stream) // self._batch
        return stream[: self._batch * length].reshape(self._batch, length)


class WholeDocuments:
    """Evaluation batches of a next-token model: windows over each document by itself.

    A batch holds `batch` documents of similar length, from start to line-end token, padded on
    the right. Its inputs and targets are as in Windows.
    """

    def __init__(self, documents: Sequence[np.ndarray], batch: int, window: int):
        self._window = window
        in_order = sorted(documents, key=len)
        self._groups = [in_order[i : i + batch] for i in range(0, len(in_order), batch)]
        self._batch = batch
        windows = [-(-(len(group[-1]) + 1) // window) for group in self._groups]
        self._places = [(g, w) for g, n in enumerate(windows) for w in range(n)]
        self.batches_per_epoch = len(self._places)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        group, position = self._places[index]
        start = position * self._window
        rows = np.full((self._batch, self._window + 1), PADDING_ID, np.int32)
        for row, document in zip(rows, self._groups[group], strict=False):
            whole = np.concatenate([[START_ID], document, [LINE_END_ID]])
            part = whole[start : start + self._window + 1]
            row[: len(part)] = part
        return rows[:, :-1], rows[:, 1:]

    def goes_on(self, index: int) -> bool:
        return self._places[index][1] > 0


class LabelledTexts:
    """Batches of a classifier: texts with labels, in length buckets, padded on the right.

    A batch is (tokens (b, l) int32, labels (b,) int32, weights (b,) float32) with (l, b) one
    of `buckets`. Rows of weight 0 fill up the last batch of a bucket; all others weigh 1.
    """

    def __init__(
        self,
        texts: Sequence[np.ndarray],
        labels: np.ndarray,
        buckets: Sequence[tuple[int, int]],
        seed: int | None = None,
        class_weights: Sequence[float] | None = None,
    ):
        """Prepares the batches.

        Args:
            seed: of the order, new in each epoch; None keeps the order, for evaluation.
            class_weights: for the loss, see `CompiledTraining.compile`; None: all classes weigh 1.
        """
        self.class_weights = class_weights
        self._texts = texts
        self._labels = labels.astype(np.int32)
        self._buckets = buckets
        self._seed = seed
        lengths = np.array([len(text) for text in texts])
        limits = np.array([length for length, _ in buckets])
        if len(lengths) == 0 or lengths.max() > limits[-1]:
            raise ValueError(
                f"texts: expected at least one, and none longer than the last bucket,"
                f" {limits[-1]} tokens; got {len(lengths)}, longest {lengths.max(initial=0)}"
            )
        self._bucket_of_text = np.searchsorted(limits, lengths)
        counts = np.bincount(self._bucket_of_text, minlength=len(buckets))
        self.batches_per_epoch = int(
            sum(-(-n // batch) for n, (_, batch) in zip(counts, buckets, strict=True))
        )
        self._plan = functools.lru_cache(1)(self._planned)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        epoch, position = divmod(index, self.batches_per_epoch)
        bucket, members = self._plan(epoch)[position]
        length, batch = self._buckets[bucket]
        tokens = np.full((batch, length), PADDING_ID, np.int32)
        labels = np.zeros(batch, np.int32)
        weights = np.zeros(batch, np.float32)
        for row, member in enumerate(members):
            tokens[row, : len(self._texts[member])] = self._texts[member]
        labels[: len(members)] = self._labels[members]
        weights[: len(members)] = 1.0
        return tokens, labels, weights

    def goes_on(self, index: int) -> bool:
        return False

    def _planned(self, epoch: int) -> list[tuple[int, np.ndarray]]:
        """The epoch's batches: (bucket, indices of its texts)."""
        order = np.arange(len(self._texts))
        if self._seed is not None:
            random = np.random.default_rng((self._seed, epoch))
            order = random.permutation(len(self._texts))
        plan = []
        for bucket, (_, batch) in enumerate(self._buckets):
            members = order[self._bucket_of_text[order] == bucket]
            plan += [(bucket, members[i : i + batch]) for i in range(0, len(members), batch)]
        if self._seed is not None:
            plan = [plan[i] for i in random.permutation(len(plan))]
        return plan
