"""Which scan a training takes: the one in C++ where it can be built, else XLA's."""

from __future__ import annotations

import dataclasses
import sys
from typing import Literal

from mamba_model import native_scan
from pipeline.config import RunConfig, TrainingConfig


def resolve(config: RunConfig) -> RunConfig:
    """The configuration with "auto" replaced by the scan that trainings take on this machine.

    So a run's cache key, summary and page name the scan that was taken. Builds the scan in C++ if
    it is not there yet, and says in one line on standard error which one "auto" is.
    """
    if "auto" not in (config.pretraining.scan, config.training.scan):
        return config
    scan = available("auto")
    if scan == "native":
        print("  scan: in C++", file=sys.stderr)

    def named(section: TrainingConfig) -> TrainingConfig:
        return dataclasses.replace(section, scan=scan) if section.scan == "auto" else section

    return dataclasses.replace(
        config, pretraining=named(config.pretraining), training=named(config.training)
    )


def available(scan: Literal["auto", "native", "xla"]) -> Literal["native", "xla"]:
    """The scan to train with: "xla", with a warning, where the one in C++ cannot be built."""
    if scan == "xla":
        return "xla"
    try:
        native_scan.load()
    except native_scan.NativeScanError as error:
        first_line = str(error).splitlines()[0]
        print(f"warning: training with XLA's scan, which is slower: {first_line}", file=sys.stderr)
        return "xla"
    return "native"
