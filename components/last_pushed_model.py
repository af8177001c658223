"""Resolver strategy: the last pushed model other than the candidate itself.

TFX's own LatestBlessedModelStrategy looks at the Evaluator's blessing only, so that a model that
was not fit to serve would set the mark for those to come. And a repeated run, whose candidate
comes from the cache and is blessed by now, would be compared with itself.
"""

from collections.abc import Collection, Iterator

import ml_metadata
from ml_metadata.proto import metadata_store_pb2 as pb
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

_INPUT, _OUTPUT = pb.Event.INPUT, pb.Event.OUTPUT


class LastPushedModel(ResolverStrategy):
    """Takes channels `model`, `pushed_model` and `candidate`; the last one it passes on."""

    def resolve_artifacts(
        self, store: ml_metadata.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        models = {model.id: model for model in input_dict["model"] if model.id not in candidates}
        pushes = {
            push.id: push
            for push in input_dict["pushed_model"]
            if push.get_int_custom_property("pushed")
        }
        model_of = {
            push: model for push, model in _read_by_pushers(store, pushes) if model in models
        }
        last = sorted(model_of)[-1:]
        # TFX wants each input back; without one, the look-up fails.
        return input_dict | {
            "model": [models[model_of[push]] for push in last],
            "pushed_model": [pushes[push] for push in last],
        }


def _read_by_pushers(
    store: ml_metadata.MetadataStore, pushes: Collection[int]
) -> Iterator[tuple[int, int]]:
    """Yields the id of each push with that of each artifact that its Pusher read."""
    made = store.get_events_by_artifact_ids(list(pushes)) if pushes else []
    pusher = {event.execution_id: event.artifact_id for event in made if event.type == _OUTPUT}
    read = store.get_events_by_execution_ids(list(pusher)) if pusher else []
    for event in read:
        if event.type == _INPUT:
            yield pusher[event.execution_id], event.artifact_id
