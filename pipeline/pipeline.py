"""The pipeline: every stage, in the order in which data flows. It knows no orchestrator."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from tfx.components.evaluator.component import Evaluator
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.pusher.component import Pusher
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.components.transform.component import Transform
from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, trainer_pb2, transform_pb2
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from components import atomic_push
from components.data_gate import DataGate
from components.last_blessed_model import LastBlessedModel
from components.reviewed_schema import ReviewedSchema
from components.text_example_gen.component import TextExampleGen
from data.records import Source
from pipeline.code_hash import code_sha256
from pipeline.config import RunConfig
from pipeline.evaluation import eval_config
from pipeline.runs import Places, pushed_models_gone
from pipeline.tasks import TASKS


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
    task = TASKS[config.task]

    example_gen = TextExampleGen(
        source=source,
        reader=task.reader,
        fraction=config.data.fraction,
        max_characters=config.data.max_characters,
        max_dead_letter_share=config.data.max_dead_letter_share,
        code_sha256=code_sha256("components.text_example_gen.executor", task.reader),
    )

    # The test split is read by nothing but a final score.
    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["examples"], exclude_splits=["test"]
    )
    schema = ReviewedSchema(pbtxt=schema_file(task.schema).read_text("utf-8"))
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema.outputs["schema"]
    )
    data_gate = DataGate(
        anomalies=example_validator.outputs["anomalies"],
        records=example_gen.outputs["records"],
        reader=task.reader,
        mode=config.data.gate,
        code_sha256=code_sha256("components.data_gate", task.reader),
    )

    transform = Transform(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="pipeline.preprocessing.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        custom_config={
            "task": config.task,
            "vocabulary_size": config.model.vocabulary_size,
            **dataclasses.asdict(config.transform),
            "code_sha256": code_sha256("pipeline.preprocessing"),
        },
        disable_analyzer_cache=True,
        disable_statistics=True,
    )
    transform.add_upstream_node(data_gate)  # anomalies stop the run here

    def trained(run_fn: str, steps: int, sections: Sequence[str], base: Trainer | None = None):
        """A Trainer that starts anew, or from the model of another."""
        return Trainer(
            examples=transform.outputs["transformed_examples"],
            transform_graph=transform.outputs["transform_graph"],
            schema=schema.outputs["schema"],
            base_model=base.outputs["model"] if base else None,
            run_fn=f"pipeline.training.{run_fn}",
            train_args=trainer_pb2.TrainArgs(num_steps=steps),
            custom_config={
                # Only a change of what it reads makes it run again.
                "config": json.dumps({name: whole[name] for name in sections}, sort_keys=True),
                "code_sha256": code_sha256("pipeline.training"),
                "checkpoints": str(places.checkpoints(config.task)),
            },
        )

    whole = dataclasses.asdict(config)
    of_both = ("task", "seed", "transform", "model")
    pretrainer = None
    if config.pretraining.steps:
        pretrainer = trained("pretrain_fn", config.pretraining.steps, (*of_both, "pretraining"))
        pretrainer.with_id("Pretrainer")
    trainer = trained("run_fn", config.training.steps, (*of_both, "training"), base=pretrainer)

    baseline = Resolver(
        strategy_class=LastBlessedModel,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
        candidate=trainer.outputs["model"],
    ).with_id("Baseline")
    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=eval_config(config),
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(
                base_directory=str(places.serving_models / config.task)
            )
        ),
        custom_executor_spec=executor_spec.ExecutorClassSpec(atomic_push.Executor),
        # A cached push whose model was deleted since must push again.
        custom_config={"pushed_models_gone": pushed_models_gone(places, config.task)},
    )

    return Pipeline(
        pipeline_name=config.task,
        pipeline_root=str(places.artifacts(config.task)),
        components=[
            example_gen,
            statistics_gen,
            schema,
            example_validator,
            data_gate,
            transform,
            *([pretrainer] if pretrainer else []),
            trainer,
            baseline,
            evaluator,
            pusher,
        ],
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(places.metadata)),
        beam_pipeline_args=list(beam_args),
    )


def schema_file(name: str) -> Path:
    """A reviewed schema's file in data/schema/."""
    import data

    return Path(data.__path__[0]) / "schema" / name
