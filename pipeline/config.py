"""The configuration of a run: one frozen dataclass, a section for each stage.

Every number of a run stands here; stages read it and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mamba_model.config import MambaConfig


@dataclass(frozen=True)
class DataConfig:
    """Ingest and validation."""

    fraction: float = 1.0  # share of the records that is kept, chosen by the hash of their keys
    max_characters: int = 20_000  # a longer record is a dead letter; see data/schema/
    max_dead_letter_share: float = 0.01  # of all records read; more stops the run
    gate: Literal["stop", "report"] = "stop"  # what DataGate does about anomalies


@dataclass(frozen=True)
class TransformConfig:
    """Text to ids; the vocabulary's size is the model's."""

    head: int = 0  # sentiment: tokens kept from a text's start ...
    tail: int = 0  # ... and from its end


@dataclass(frozen=True)
class TrainingConfig:
    """Optimizer, schedule, batches, and what is kept."""

    steps: int = 1_000  # batches; no pretraining: 0
    members: int = 1  # sentiment: models trained side by side, which answer together
    batch: int = 8  # next token: windows a step
    window: int = 256  # next token: tokens a window
    # Sentiment: (longest text, texts a step) of each bucket; b * l is near 4,096 tokens, as
    # more does not fit the cache.
    buckets: tuple[tuple[int, int], ...] = ((144, 28), (208, 20), (288, 14), (400, 10))
    learning_rate: float = 2e-3  # peak, reached after warmup_steps, then falling as a cosine
    final_learning_rate: float = 0.0
    warmup_steps: int = 100
    beta_2: float = 0.99
    weight_decay: float = 0.05
    clip_norm: float = 1.0  # of all gradients together
    accumulate: int = 1  # batches whose gradients are averaged before the weights move
    label_smoothing: float = 0.0
    average_momentum: float = 0.99  # of the moving average of the weights, which is exported
    # Of the averaged weights, on `eval`, in steps; the best are kept. 0: once, at the end.
    evaluate_every: int = 0
    patience: int = 0  # evaluations without a better one that end training; 0: none do
    checkpoint_every: int = 100  # steps, which is the most that a kill can cost
    # "native" trains through the scan in C++: faster, needs a compiler, has other last bits.
    scan: Literal["xla", "native"] = "xla"


@dataclass(frozen=True)
class EvaluationConfig:
    """What a model must reach to be blessed."""

    # sentiment
    min_accuracy: float = 0.0
    max_calibration_error: float = 1.0  # expected calibration error, see calibration.py
    # next token
    max_bits_per_char: float = 99.0
    # against the last pushed model: worse by more than this is not blessed
    tolerance: float = 0.0


@dataclass(frozen=True)
class ExportConfig:
    """What the exported model takes in a request; more gives INVALID_ARGUMENT."""

    max_text_bytes: int = 65_536  # of each text; four times the longest review
    max_rows: int = 4_096  # texts
    max_generation_rows: int = 64  # prompts, as each takes thousands of times longer
    max_new_tokens: int = 1_024


@dataclass(frozen=True)
class InfraCheckConfig:
    """What an export must stand before it is pushed."""

    time_limit: int = 300  # seconds for all of it; it takes about 15
    # TFX's InfraValidator too, a stage of its own: needs docker's engine with tensorflow/serving.
    tfx_infra_validator: bool = False


@dataclass(frozen=True)
class PushConfig:
    """What becomes of pushed models."""

    keep_versions: int = 5  # newest ones; older are deleted by the next push


@dataclass(frozen=True)
class RunConfig:
    """All that determines a run's result, besides code and dependency set."""

    task: str
    preset: str
    seed: int = 1
    data: DataConfig = field(default_factory=DataConfig)
    transform: TransformConfig = field(default_factory=TransformConfig)
    model: MambaConfig = field(default_factory=lambda: MambaConfig(vocabulary_size=2_000))
    # Sentiment: of a next-token model on the same texts, from which training starts.
    pretraining: TrainingConfig = field(default_factory=lambda: TrainingConfig(steps=0))
    training: TrainingConfig = field(default_factory=TrainingConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    infra_check: InfraCheckConfig = field(default_factory=InfraCheckConfig)
    push: PushConfig = field(default_factory=PushConfig)
