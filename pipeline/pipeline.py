"""The pipeline: every stage, in the order in which data flows. It knows no orchestrator.

The definition is a function of its arguments: it reads no disk, no store and no past run.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
from components.infra_check.component import InfraCheck
from components.last_pushed_model import LastPushedModel
from components.newest_served_model import NewestServedModel
from data.records import Source
from pipeline.config import RunConfig, TrainingConfig
from pipeline.evaluation.eval_config import eval_config
from pipeline.export.expected_signatures import SIGNATURES
from pipeline.places import Places
from pipeline.report.component import RunReport
from pipeline.report.model_card import ModelCard
from pipeline.run_context import RunContext
from pipeline.text_stages import TextStages, from_source_to_ids
from pipeline.tuning.search_space import Range


def create_pipeline(
    config: RunConfig,
    source: Source,
    places: Places,
    beam_args: Sequence[str],
    context: RunContext,
) -> Pipeline:
    """Defines the pipeline of one run.

    Args:
        config: the configuration, which determines the result together with source and code.
        source: the text, opened and verified.
        places: where artifacts, checkpoints and pushed models go.
        beam_args: options of Beam for every stage that runs on it.
        context: what else the stages depend on.
    """
    text = from_source_to_ids(config, source, context)
    pretrainer = _pretrainer(config, text, places, context)
    trainer = Trainer(
        **_training_inputs(text, pretrainer),
        run_fn="pipeline.training.trainer.run_fn",
        train_args=trainer_pb2.TrainArgs(num_steps=config.training.steps),
        custom_config={
            "config": _json(_read_by_training(config, config.training)),
            "code_sha256": context.code["Trainer"],
            "checkpoints": str(places.checkpoints(config.task.name)),
            "export": _json(config.export),
        },
    )

    baseline = _baseline(config, trainer, places, context)
    evaluator = Evaluator(
        examples=text.example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=eval_config(config, context.code["Evaluator"]),
    )
    infra_check = InfraCheck(
        model=trainer.outputs["model"],
        signatures=_json(SIGNATURES[config.task.kind]),
        time_limit=config.infra_check.time_limit,
        code_sha256=context.code["InfraCheck"],
        failed_before=context.infra_checks_failed,
    )
    infra_validator = _infra_validator(config, text, trainer, context)
    server_blessing = infra_validator.outputs["blessing"] if infra_validator else None
    model_card = ModelCard(
        records=text.example_gen.outputs["records"],
        transform_graph=text.transform.outputs["transform_graph"],
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        evaluation=evaluator.outputs["evaluation"],
        infra_blessing=infra_check.outputs["blessing"],
        config=_json(
            {
                name: getattr(config, name)
                for name in ("task", "about", "seed", "preset", "model", "training")
            }
        ),
        training_code_sha256=context.code["Trainer"],
        code_sha256=context.code["ModelCard"],
    )
    pusher = AtomicPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_check.outputs["blessing"],
        infra_validator_blessing=server_blessing,
        model_card=model_card.outputs["card"],
        base_directory=str(places.serving_models / config.task.name),
        keep_versions=config.push.keep_versions,
        pushed_models_gone=context.pushed_models_gone,
        code_sha256=context.code["Pusher"],
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
        config=_json(config),
        versions=_json(context.versions),
        code_sha256=context.code["RunReport"],
    )

    judged = (trainer, baseline, evaluator, infra_check, infra_validator, model_card, pusher)
    stages = (*text.stages, pretrainer, *judged, run_report)
    return _pipeline(config, places, beam_args, context, stages)


def create_tuning_pipeline(
    config: RunConfig,
    source: Source,
    places: Places,
    beam_args: Sequence[str],
    context: RunContext,
    *,
    ranges: Sequence[Range],
    trials: int,
    search: Path,
) -> Pipeline:
    """Defines the pipeline of a search: the stages before the Trainer, then a Tuner.

    It has the name and root of the run's pipeline, so that both share cached results.

    Args:
        config, source, places, beam_args, context: as in `create_pipeline`.
        ranges: the settings to vary, and their bounds.
        trials: how many.
        search: folder of the search's records; see tuning/trials.py. It must be a function of
            all that determines a trial's result.
    """
    text = from_source_to_ids(config, source, context)
    pretrainer = _pretrainer(config, text, places, context)
    tuner = Tuner(
        **_training_inputs(text, pretrainer),
        tuner_fn="pipeline.tuning.tuner.tuner_fn",
        train_args=trainer_pb2.TrainArgs(num_steps=config.training.steps),
        custom_config={
            "config": _json(_read_by_training(config, config.training)),
            "ranges": json.dumps([dataclasses.asdict(each) for each in ranges]),
            "trials": trials,
            "search": str(search),
        },
    )
    return _pipeline(config, places, beam_args, context, (*text.stages, pretrainer, tuner))


def _pretrainer(
    config: RunConfig, text: TextStages, places: Places, context: RunContext
) -> Trainer | None:
    if not config.pretraining.steps:
        return None
    return Trainer(
        **_training_inputs(text),
        run_fn="pipeline.training.trainer.pretrain_fn",
        train_args=trainer_pb2.TrainArgs(num_steps=config.pretraining.steps),
        custom_config={
            "config": _json(_read_by_training(config, config.pretraining)),
            "code_sha256": context.code["Pretrainer"],
            "checkpoints": str(places.checkpoints(config.task.name)),
        },
    ).with_id("Pretrainer")


def _training_inputs(text: TextStages, base: Trainer | None = None) -> dict[str, Channel | None]:
    return {
        "examples": text.transform.outputs["transformed_examples"],
        "transform_graph": text.transform.outputs["transform_graph"],
        "schema": text.schema.outputs["schema"],
        "base_model": base.outputs["model"] if base else None,
    }


def _read_by_training(config: RunConfig, training: TrainingConfig) -> dict[str, Any]:
    """The part of the configuration that a training reads: no other part makes it run again."""
    return {"task": config.task, "seed": config.seed, "model": config.model, "training": training}


def _baseline(config: RunConfig, trainer: Trainer, places: Places, context: RunContext) -> BaseNode:
    """The model that the new one is compared with: the last pushed one."""
    if context.metadata is None:
        stage = NewestServedModel(serving_models=str(places.serving_models / config.task.name))
    else:
        stage = Resolver(
            strategy_class=LastPushedModel,
            model=Channel(type=standard_artifacts.Model),
            pushed_model=Channel(type=standard_artifacts.PushedModel),
            candidate=trainer.outputs["model"],
        )
    return stage.with_id("Baseline")


def _infra_validator(
    config: RunConfig, text: TextStages, trainer: Trainer, context: RunContext
) -> BaseNode | None:
    if not config.infra_check.tfx_infra_validator:
        return None
    from components.infra_validator import InfraValidator  # with clients of docker and Kubernetes

    signatures = SIGNATURES[config.task.kind]
    return InfraValidator(
        model=trainer.outputs["model"],
        examples=text.example_gen.outputs["examples"],
        signatures=[name for name, inputs in signatures.items() if inputs == ("examples",)],
        time_limit=config.infra_check.time_limit,
        code_sha256=context.code["InfraValidator"],
        failed_before=context.infra_validations_failed,
    )


def _json(value: Any) -> str:
    """A parameter, in one form for equal values: dataclasses become objects."""
    return json.dumps(value, default=dataclasses.asdict, sort_keys=True)


def _pipeline(
    config: RunConfig,
    places: Places,
    beam_args: Sequence[str],
    context: RunContext,
    stages: Sequence[BaseNode | None],
) -> Pipeline:
    """`stages`: None for a stage that this configuration does not have."""
    return Pipeline(
        pipeline_name=config.task.name,
        pipeline_root=places.pipeline_root(config.task.name),
        components=[stage for stage in stages if stage is not None],
        enable_cache=True,
        metadata_connection_config=context.metadata,
        beam_pipeline_args=list(beam_args),
    )
