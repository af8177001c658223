"""Records of a task, exactly as the pipeline's ingest keeps them, without its Beam pipeline."""

from __future__ import annotations

from collections.abc import Iterator

from data import readers
from data.facts import without_repeats
from data.records import SPLITS, Record
from pipeline import presets
from pipeline.config import RunConfig


def packaged(task: str) -> RunConfig:
    """The configuration that reads the packaged corpus of a built-in task: preset quick's."""
    return presets.preset(task, "quick")


def records(config: RunConfig, source: str | None = None) -> Iterator[Record]:
    """Yields the usable records of a corpus, in its order, with repeats.

    Args:
        source: a file or folder; None: the reader's packaged corpus.
    """
    reader = readers.load(config.reading.reader)
    opened = reader.open_source(source, config.reading)
    for shard in opened.shards:
        for item in reader.read_shard(
            opened, shard, config.task, config.reading, config.data.max_characters
        ):
            if isinstance(item, Record):
                yield item


def read_splits(config: RunConfig, source: str | None = None) -> dict[str, list[Record]]:
    """Returns the records of each split as a run writes them: one of each text, sampled by
    `data.fraction`, sorted by key. Arguments as of `records`.
    """
    from components.text_example_gen.transforms import is_sampled

    kept = [
        record
        for record in without_repeats(records(config, source))
        if is_sampled(record.key, config.data.fraction)
    ]
    return {split: [record for record in kept if record.split == split] for split in SPLITS}
