"""The pipeline: every stage, in the order in which data flows. It knows no orchestrator."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from tfx.components.evaluator.component import Evaluator
from tfx.components.trainer.component import Trainer
from tfx.components.tuner.component import Tuner
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from components.atomic_push import AtomicPusher
from components.infra_check.component import INFRA_CHECK_MODULES, InfraCheck
from components.last_pushed_model import LastPushedModel
from components.newest_served_model import NewestServedModel
from data.records import Source
from data.tasks import TASKS
from pipeline.code_hash import code_sha256, library_versions
from pipeline.config import RunConfig
from pipeline.evaluation.eval_config import eval_config
from pipeline.export.expected_signatures import SIGNATURES
from pipeline.places import Places
from pipeline.report import page
from pipeline.report.component import RunReport
from pipeline.report.model_card import ModelCard
from pipeline.runs import store as metadata
from pipeline.runs.reruns import infra_checks_failed, infra_validations_failed, pushed_models_gone
from pipeline.text_stages import TextStages, from_source_to_ids
from pipeline.tuning.search_space import Range


def _trainer(
    run_fn: str,
    section: str,
    config: RunConfig,
    text: TextStages,
    places: Places,
    base: Trainer | None = None,
) -> Trainer:
    """Trains as a section of the configuration says, from nothing or from another's model."""
    return Trainer(
        examples=text.transform.outputs["transformed_examples"],
        transform_graph=text.transform.outputs["transform_graph"],
        schema=text.schema.outputs["schema"],
        base_model=base.outputs["model"] if base else None,
        run_fn=f"pipeline.training.trainer.{run_fn}",
        train_args=trainer_pb2.TrainArgs(num_steps=getattr(config, section).steps),
        custom_config={
            "config": _sections(config, section),
            "code_sha256": code_sha256("pipeline.training.trainer"),
            "checkpoints": str(places.checkpoints(config.task)),
            "export": json.dumps(dataclasses.asdict(config.export), sort_keys=True),
        },
    )


def _pretrainer(config: RunConfig, text: TextStages, places: Places) -> Trainer | None:
    if not config.pretraining.steps:
        return None
    return _trainer("pretrain_fn", "pretraining", config, text, places).with_id("Pretrainer")


def _infra_validator(
    config: RunConfig, text: TextStages, trainer: Trainer, places: Places
) -> BaseNode | None:
    if not config.infra_check.tfx_infra_validator:
        return None
    from components.infra_validator import InfraValidator  # with the clients of docker, Kubernetes

    signatures = SIGNATURES[TASKS[config.task].head]
    return InfraValidator(
        model=trainer.outputs["model"],
        examples=text.example_gen.outputs["examples"],
        signatures=[name for name, inputs in signatures.items() if inputs == ("examples",)],
        time_limit=config.infra_check.time_limit,
        code_sha256=code_sha256("components.infra_validator"),
        failed_before=infra_validations_failed(places, config.task),
    )


def _sections(config: RunConfig, *sections: str) -> str:
    """What a training by a section reads, as JSON: only a change of it makes it run again."""
    whole = dataclasses.asdict(config)
    names = ("task", "seed", "transform", "model", *sections)
    return json.dumps({name: whole[name] for name in names}, sort_keys=True)


def _baseline(trainer: Trainer, places: Places, task: str) -> BaseNode:
    """What the model is compared with."""
    if not places.has_metadata_store:
        stage = NewestServedModel(serving_models=str(places.serving_models / task))
    else:
        stage = Resolver(
            strategy_class=LastPushedModel,
            model=Channel(type=standard_artifacts.Model),
            pushed_model=Channel(type=standard_artifacts.PushedModel),
            candidate=trainer.outputs["model"],
        )
    return stage.with_id("Baseline")


def create_pipeline(
    config: RunConfig, source: Source, places: Places, beam_args: Sequence[str]
) -> Pipeline:
    """Builds the pipeline of one run.

    Args:
        config: all that determines the result.
        source: what to read, opened and verified.
        places: where artifacts, metadata and pushed models go.
        beam_args: passed to every stage that runs on Beam.
    """
    text = from_source_to_ids(config, source)
    pretrainer = _pretrainer(config, text, places)
    trainer = _trainer("run_fn", "training", config, text, places, base=pretrainer)

    baseline = _baseline(trainer, places, config.task)
    evaluator = Evaluator(
        examples=text.example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=eval_config(
            config,
            code_sha256(
                "pipeline.evaluation.next_token_metrics",
                "pipeline.evaluation.calibration",
                "pipeline.evaluation.intervals",
            ),
        ),
    )
    infra_check = InfraCheck(
        model=trainer.outputs["model"],
        signatures=SIGNATURES[TASKS[config.task].head],
        time_limit=config.infra_check.time_limit,
        code_sha256=code_sha256(*INFRA_CHECK_MODULES),
        failed_before=infra_checks_failed(places, config.task),
    )
    infra_validator = _infra_validator(config, text, trainer, places)
    server_blessing = infra_validator.outputs["blessing"] if infra_validator else None
    model_card = ModelCard(
        records=text.example_gen.outputs["records"],
        transform_graph=text.transform.outputs["transform_graph"],
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        evaluation=evaluator.outputs["evaluation"],
        infra_blessing=infra_check.outputs["blessing"],
        config=_sections(config, "training", "preset"),
        code_sha256=code_sha256("pipeline.training.trainer", "pipeline.report.model_card"),
    )
    pusher = AtomicPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_check.outputs["blessing"],
        model_card=model_card.outputs["card"],
        base_directory=str(places.serving_models / config.task),
        keep_versions=config.push.keep_versions,
        # A cached push whose model was deleted since must push again.
        pushed_models_gone=pushed_models_gone(places, config),
        infra_validator_blessing=server_blessing,
    ).with_id("Pusher")

    run_report = RunReport(
        examples=text.example_gen.outputs["examples"],
        records=text.example_gen.outputs["records"],
        statistics=text.statistics_gen.outputs["statistics"],
        anomalies=text.example_validator.outputs["anomalies"],
        data_blessing=text.data_gate.outputs["blessing"],
        transform_graph=text.transform.outputs["transform_graph"],
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        evaluation=evaluator.outputs["evaluation"],
        infra_blessing=infra_check.outputs["blessing"],
        infra_validator_blessing=server_blessing,
        pushed_model=pusher.outputs["pushed_model"],
        config=json.dumps(dataclasses.asdict(config), sort_keys=True),
        versions=json.dumps(library_versions()),
        code_sha256=code_sha256(
            "pipeline.report.component",
            # What it names by strings only:
            *(f"pipeline.report.sections.{name}" for name in page.SECTIONS),
        ),
    )

    judged = (trainer, baseline, evaluator, infra_check, infra_validator, model_card, pusher)
    return _pipeline(config, places, beam_args, *text.stages, pretrainer, *judged, run_report)


def create_tuning_pipeline(
    config: RunConfig,
    source: Source,
    places: Places,
    beam_args: Sequence[str],
    *,
    ranges: Sequence[Range],
    trials: int,
    search: Path,
) -> Pipeline:
    """Builds the pipeline of a search: that of a run as far as the Trainer, and a Tuner for it.

    Name and root are the run's, so that both take what they share from each other's cache.

    Args:
        ranges: what varies, and between which bounds.
        trials: how many.
        search: folder of the search's books, which must be a function of all that determines
            what a trial gives; see trials.py.
    """
    text = from_source_to_ids(config, source)
    pretrainer = _pretrainer(config, text, places)
    tuner = Tuner(
        examples=text.transform.outputs["transformed_examples"],
        transform_graph=text.transform.outputs["transform_graph"],
        schema=text.schema.outputs["schema"],
        base_model=pretrainer.outputs["model"] if pretrainer else None,
        tuner_fn="pipeline.tuning.tuner.tuner_fn",
        train_args=trainer_pb2.TrainArgs(num_steps=config.training.steps),
        custom_config={
            "config": _sections(config, "training"),
            "ranges": json.dumps([dataclasses.asdict(each) for each in ranges]),
            "trials": trials,
            "search": str(search),
        },
    )
    return _pipeline(config, places, beam_args, *text.stages, pretrainer, tuner)


def _pipeline(
    config: RunConfig, places: Places, beam_args: Sequence[str], *stages: BaseNode | None
) -> Pipeline:
    """`stages`: None for what the configuration does without."""
    return Pipeline(
        pipeline_name=config.task,
        pipeline_root=places.pipeline_root(config.task),
        components=[stage for stage in stages if stage is not None],
        enable_cache=True,
        metadata_connection_config=(
            metadata.connection_config(places) if places.has_metadata_store else None
        ),
        beam_pipeline_args=list(beam_args),
    )
