"""Thresholds for blessing a model: above chance, as far as the baselines say what is possible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from data.tasks import Kind

# How far from chance to the plain model's score: between the two there is room for a bad seed.
_WAY = {"quick": 0.5, "full": 0.8}
# Smoke shows that all stages run; it trains too little to be judged.
_SMOKE = {
    "classification": {
        "min_accuracy": 0.0,
        "min_macro_f1": 0.0,
        "max_calibration_error": 1.0,
        "tolerance": 1.0,
    },
    "next-token": {"max_bits_per_char": 99.0, "tolerance": 99.0},
}


def proposed(kind: Kind, chance: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The section `evaluation` of the presets quick, full and smoke, and of best if it has one.

    Args:
        chance: from `pipeline.baselines.measure`.
    """
    if kind == "next-token":
        return {**_next_token(chance), "smoke": dict(_SMOKE[kind])}
    majority, plain = chance["majority"], chance["tfidf_logistic"]
    held_out = max(1, chance["held_out"]["texts"])
    presets = {"smoke": dict(_SMOKE[kind])}
    for name, way in _WAY.items():
        limits = {"min_accuracy": 0.0, "min_macro_f1": 0.0}
        for metric in ("accuracy", "macro_f1") if plain else ():
            between = majority[metric] + way * max(0.0, plain[metric] - majority[metric])
            limits[f"min_{metric}"] = math.floor(1_000 * between) / 1_000
        accuracy = plain["accuracy"] if plain else 0.5
        # Two standard errors of an accuracy on so many texts.
        error = 2 * math.sqrt(accuracy * (1 - accuracy) / held_out)
        presets[name] = {
            **limits,
            "max_calibration_error": 1.0,
            "tolerance": max(0.005, math.ceil(1_000 * error) / 1_000),
        }
    return presets


def _next_token(chance: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    xz, ngrams = (chance[name] and chance[name]["bits_per_char"] for name in ("xz", "ngrams"))
    if xz is None:
        return {name: dict(_SMOKE["next-token"]) for name in ("quick", "full", "best")}
    both = min(xz, ngrams)
    limits = {"quick": xz, "full": both, "best": both}
    return {
        name: {"max_bits_per_char": math.floor(100 * bits) / 100, "tolerance": 0.02}
        for name, bits in limits.items()
    }
