"""The stages from the source to token ids, with which every pipeline begins."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.transform.component import Transform
from tfx.dsl.components.base.base_node import BaseNode
from tfx.proto import transform_pb2

from components.data_gate import DataGate
from components.reviewed_schema import ReviewedSchema
from components.text_example_gen.component import TextExampleGen
from data import checks
from data.records import Source
from pipeline.config import RunConfig
from pipeline.run_context import RunContext


@dataclass(frozen=True)
class TextStages:
    """The stages, in the order in which they run."""

    example_gen: TextExampleGen
    statistics_gen: StatisticsGen
    schema: BaseNode
    example_validator: ExampleValidator
    data_gate: BaseNode
    transform: Transform

    @property
    def stages(self) -> tuple[BaseNode, ...]:
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))


def from_source_to_ids(config: RunConfig, source: Source, context: RunContext) -> TextStages:
    """Ingests, validates and tokenizes; anomalies stop the run before Transform."""
    example_gen = TextExampleGen(
        source=source,
        task=config.task,
        reading=config.reading,
        markers=checks.markers(config.checks),
        fraction=config.data.fraction,
        max_characters=config.data.max_characters,
        max_dead_letter_share=config.data.max_dead_letter_share,
        code_sha256=context.code["TextExampleGen"],
    )

    # The test split is read by nothing but a final score.
    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["examples"], exclude_splits=["test"]
    )
    schema = ReviewedSchema(pbtxt=config.schema, code_sha256=context.code["ReviewedSchema"])
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema.outputs["schema"]
    )
    data_gate = DataGate(
        anomalies=example_validator.outputs["anomalies"],
        records=example_gen.outputs["records"],
        task=json.dumps({name: getattr(config.task, name) for name in ("name", "kind", "classes")}),
        reader=config.reading.reader,
        checks=json.dumps(dataclasses.asdict(config.checks), sort_keys=True),
        mode=config.data.gate,
        code_sha256=context.code["DataGate"],
    )

    transform = Transform(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="pipeline.transform.preprocessing.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        custom_config={
            "task": dataclasses.asdict(config.task),
            "vocabulary_size": config.model.vocabulary_size,
            **dataclasses.asdict(config.transform),
            "code_sha256": context.code["Transform"],
        },
        disable_analyzer_cache=True,
        disable_statistics=True,
    )
    transform.add_upstream_node(data_gate)

    return TextStages(example_gen, statistics_gen, schema, example_validator, data_gate, transform)
