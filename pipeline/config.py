"""The configuration of a run: one frozen dataclass, with one section per stage.

Only declarations: task.toml holds the values (see data/task_files.py), presets.py puts them
together, settings.py changes and validates them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from data.tasks import About, Checks, Reading, Task
from mamba_model.config import MambaConfig

# Integers fit 32 bits and numbers float32, as the libraries and the metadata store take no others.
Count = Annotated[int, Field(ge=1, le=2_147_483_647)]
Natural = Annotated[int, Field(ge=0, le=2_147_483_647)]
Seed = Annotated[int, Field(ge=0, le=4_294_967_295)]
Finite = Annotated[float, Field(ge=-3e38, le=3e38, allow_inf_nan=False)]
Positive = Annotated[Finite, Field(gt=0)]
NotNegative = Annotated[Finite, Field(ge=0)]
Share = Annotated[Finite, Field(ge=0, le=1)]
BelowOne = Annotated[Finite, Field(ge=0, lt=1)]
Buckets = Annotated[tuple[tuple[Count, Count], ...], Field(min_length=1)]


@dataclass(frozen=True)
class DataConfig:
    """Ingest and validation."""

    # Share of the records that is kept, chosen by the hash of their keys.
    fraction: Annotated[Share, Field(gt=0)] = 1.0
    max_characters: Count = 20_000  # a longer record is a dead letter; see the task's schema
    max_dead_letter_share: Share = 0.01  # of all records read; a larger share stops the run
    gate: Literal["stop", "report"] = "stop"  # what DataGate does when it finds anomalies


@dataclass(frozen=True)
class TransformConfig:
    """Text to ids. The vocabulary size is in the model's section."""

    head: Natural = 0  # classification: tokens kept from the start of a text ...
    tail: Natural = 0  # ... and from its end


@dataclass(frozen=True)
class TrainingConfig:
    """Optimizer, schedule, batches, evaluations and checkpoints."""

    steps: Natural = 1_000  # batches; 0: no pretraining
    members: Count = 1  # classification: models of the ensemble, trained side by side
    # Classification: weights of the classes in the loss. "balanced": the mean number of texts of a
    # class over the class's own number; or one weight per class, such as "1,2.5,1".
    class_weights: str = "equal"
    batch: Count = 8  # next token: windows per step
    window: Count = 256  # next token: tokens per window
    # Classification: (longest text, texts per step) of each bucket. Their product is near 4,096
    # tokens, as more does not fit the CPU's cache.
    buckets: Buckets = ((144, 28), (208, 20), (288, 14), (400, 10))
    # The peak: a linear warm-up reaches it, and a cosine decay follows.
    learning_rate: Positive = 2e-3
    final_learning_rate: NotNegative = 0.0
    warmup_steps: Natural = 100
    beta_2: BelowOne = 0.99
    weight_decay: NotNegative = 0.05
    clip_norm: Positive = 1.0  # of all gradients together
    accumulate: Count = 1  # batches whose gradients are averaged for one update of the weights
    label_smoothing: BelowOne = 0.0
    average_momentum: BelowOne = 0.99  # of the moving average of the weights, which is exported
    # Steps between two evaluations of the averaged weights on split eval; training keeps the
    # best weights. 0: one evaluation, at the end.
    evaluate_every: Natural = 0
    patience: Natural = 0  # evaluations without improvement that end training; 0: no early stop
    checkpoint_every: Count = 100  # steps; a killed training loses at most as many
    # "native": the scan in C++, which is faster, needs a compiler and differs in the last bits;
    # "auto": native where it can be built, else xla.
    scan: Literal["auto", "native", "xla"] = "auto"


@dataclass(frozen=True)
class EvaluationConfig:
    """Slices, and thresholds for blessing a model."""

    slices: tuple[str, ...] = ()  # features by whose values the metrics are also computed
    # classification
    min_accuracy: Share = 0.0
    min_macro_f1: Share = 0.0
    min_auc: Share = 0.0  # mean over the classes, each against the rest
    min_precision: Share = 0.0  # of every class
    min_recall: Share = 0.0  # of every class
    max_log_loss: NotNegative = 99.0  # nats
    max_calibration_error: NotNegative = 1.0  # of the top label, see calibration.py
    # next token
    min_top1: Share = 0.0
    max_bits_per_char: NotNegative = 99.0
    # Largest loss of accuracy or bits per character against the last pushed model.
    tolerance: Finite = 0.0


@dataclass(frozen=True)
class ExportConfig:
    """Limits of a request to the exported model; a larger one gets INVALID_ARGUMENT."""

    max_text_bytes: Count = 65_536  # of each text; four times the longest review
    max_rows: Count = 4_096  # texts
    max_generation_rows: Count = 64  # prompts, as each takes thousands of times longer
    max_new_tokens: Count = 1_024


@dataclass(frozen=True)
class InfraCheckConfig:
    """How an export is tried out before it is pushed."""

    time_limit: Count = 300  # seconds for the whole check, which takes about 15
    # Also run TFX's InfraValidator as its own stage; needs Docker with tensorflow/serving.
    tfx_infra_validator: bool = False


@dataclass(frozen=True)
class PushConfig:
    """Retention of pushed models."""

    keep_versions: Count = 5  # the newest ones; the next push deletes older ones


@dataclass(frozen=True)
class RunConfig:
    """All that determines a run's result, apart from data, code and library versions."""

    task: Task
    preset: str
    schema: str  # the task's reviewed schema, in protobuf's text format
    seed: Seed = 1
    reading: Reading = field(default_factory=Reading)
    checks: Checks = field(default_factory=Checks)
    about: About = field(default_factory=About)
    data: DataConfig = field(default_factory=DataConfig)
    transform: TransformConfig = field(default_factory=TransformConfig)
    model: MambaConfig = field(default_factory=lambda: MambaConfig(vocabulary_size=2_000))
    # Classification: of a next-token model on the same texts, from which training starts.
    pretraining: TrainingConfig = field(default_factory=lambda: TrainingConfig(steps=0))
    training: TrainingConfig = field(default_factory=TrainingConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    infra_check: InfraCheckConfig = field(default_factory=InfraCheckConfig)
    push: PushConfig = field(default_factory=PushConfig)
