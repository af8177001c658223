"""Resolver strategy: the last blessed model other than the candidate itself.

With TFX's own LatestBlessedModelStrategy a repeated run, whose candidate comes from the
cache and is blessed by now, would be compared with itself, and its evaluation run again.
"""

import ml_metadata
from tfx import types
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)


class LastBlessedModel(LatestBlessedModelStrategy):
    """Takes channels `model`, `model_blessing` and `candidate`; the last one it passes on."""

    def resolve_artifacts(
        self, store: ml_metadata.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        others = [model for model in input_dict["model"] if model.id not in candidates]
        resolved = super().resolve_artifacts(
            store, {"model": others, "model_blessing": input_dict["model_blessing"]}
        )
        # TFX wants each input back; without one, the look-up fails and the run goes on as if
        # there were no blessed model.
        return None if resolved is None else resolved | {"candidate": input_dict["candidate"]}
