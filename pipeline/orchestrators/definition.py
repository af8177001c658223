"""Defines pipelines for this machine: reads the context, then calls the pure definition."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfx.orchestration.pipeline import Pipeline

from data.records import Source
from pipeline import stage_code
from pipeline.code_hash import library_versions
from pipeline.config import RunConfig
from pipeline.pipeline import create_pipeline
from pipeline.places import Places
from pipeline.pushed_models import owner
from pipeline.run_context import RunContext
from pipeline.runs import reruns, store


def define(config: RunConfig, source: Source, places: Places, beam_args: Sequence[str]) -> Pipeline:
    """Defines the pipeline of a run; the arguments are those of `create_pipeline`.

    Raises:
        UserError: if the metadata store cannot be opened, a stage's module has no file, or pushed
            models are those of another task of the same name.
    """
    owner.check(places.serving_models, config.task)
    first = without_past_runs(config, places)
    context = dataclasses.replace(first, **reruns.counts(places, config))
    return create_pipeline(config, source, places, beam_args, context)


def without_past_runs(config: RunConfig, places: Places) -> RunContext:
    """The context as in a first run: enough for a search, or where only stages' names count."""
    return dataclasses.replace(without_metadata(config), metadata=store.connection_config(places))


def without_metadata(config: RunConfig) -> RunContext:
    """The context for an orchestrator that keeps ML Metadata itself."""
    return RunContext(
        code=stage_code.stage_hashes(config.task.kind, config.reading.reader),
        versions=library_versions(),
    )
