"""Sizes and rates of a Mamba model, in the paper's names.

All other modules of mamba_model take their numbers from one `MambaConfig`. It is frozen and
validated when created, so that an error points to the place of the bad value.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

Pooling = Literal["mean", "max", "last", "mean_max"]


@dataclasses.dataclass(frozen=True)
class MambaConfig:
    """Sizes and rates of one model.

    Source of the defaults: Gu and Dao, arXiv:2312.00752, and the authors' code
    (state-spaces/mamba, `mamba_simple.py`). The dropout rates, the pooling and the two
    switches are additions; rates and switches are off by default.

    Raises:
        ValueError: on a value outside its range; the message names field, rule and value.
    """

    vocabulary_size: int  # ids 0 (padding) to vocabulary_size - 1
    d_model: int = 128  # width of the residual stream
    n_layer: int = 2  # number of residual blocks
    d_state: int = 16  # n, size of the state per inner channel
    d_conv: int = 4  # taps of the causal depthwise convolution
    expand: int = 2  # d_inner / d_model
    dt_rank: int = None  # type: ignore[assignment]  # rank of delta's projection; None: ceil(d_model / 16)
    dt_min: float = 1e-3  # delta's bias starts log-uniform in [dt_min, dt_max]
    dt_max: float = 0.1
    dt_init_floor: float = 1e-4  # lower bound of that start
    norm_epsilon: float = 1e-5  # of every RMSNorm
    bidirectional: bool = False  # each block also reads the text backwards; for classifiers
    pooling: Pooling = "mean_max"  # how a classifier pools the features of a text
    recompute_blocks: bool = False  # training keeps only each block's input: less memory, more time
    embedding_dropout: float = 0.0  # on the embedded tokens
    residual_dropout: float = 0.0  # on what each block adds to the residual stream
    output_dropout: float = 0.0  # after the final norm, before a head
    word_dropout: float = 0.0  # share of whole tokens whose embedding is dropped
    pooled_dropout: float = 0.0  # on the pooled features of a classifier

    def __post_init__(self) -> None:
        if self.dt_rank is None:
            object.__setattr__(self, "dt_rank", math.ceil(self.d_model / 16))
        for name in ("d_model", "n_layer", "d_state", "d_conv", "expand", "dt_rank"):
            self._require(name, "an integer of at least 1", _is_integer(getattr(self, name), 1))
        self._require(
            "vocabulary_size", "an integer of at least 2", _is_integer(self.vocabulary_size, 2)
        )
        for name in ("dt_min", "dt_max", "dt_init_floor", "norm_epsilon"):
            self._require(name, "a number above 0", _is_number(getattr(self, name), above=0))
        self._require("dt_max", f"at least dt_min = {self.dt_min}", self.dt_max >= self.dt_min)
        for name in ("bidirectional", "recompute_blocks"):
            self._require(name, "True or False", isinstance(getattr(self, name), bool))
        poolings = get_args(Pooling)
        self._require("pooling", f"one of {poolings}", self.pooling in poolings)
        for field in dataclasses.fields(self):
            if field.name.endswith("_dropout"):
                rate = getattr(self, field.name)
                self._require(field.name, "a rate in [0, 1)", _is_number(rate) and 0 <= rate < 1)

    def _require(self, name: str, rule: str, holds: bool) -> None:
        if not holds:
            raise ValueError(f"MambaConfig.{name} must be {rule}, got {getattr(self, name)!r}")

    @property
    def d_inner(self) -> int:
        """Width inside a block."""
        return self.expand * self.d_model

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MambaConfig":
        """The inverse of `to_dict`; raises ValueError on an unknown field."""
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"MambaConfig has no field {unknown}; it has {known}")
        return cls(**values)


def _is_integer(value: Any, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _is_number(value: Any, above: float = -math.inf) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value) and value > above
