"""Resolver strategy: the last pushed model other than the candidate.

TFX's LatestBlessedModelStrategy considers only the Evaluator's blessing, so a model that could not
be served would become the baseline. And a repeated run, whose candidate comes from the cache and
is already blessed, would compare the model with itself.
"""

from collections.abc import Collection, Iterator

import ml_metadata
from ml_metadata.proto import metadata_store_pb2 as pb
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

_INPUT, _OUTPUT = pb.Event.INPUT, pb.Event.OUTPUT


class LastPushedModel(ResolverStrategy):
    """Resolves channels `model` and `pushed_model`; returns `candidate` unchanged."""

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
        # TFX requires each input in the result; otherwise the Resolver fails.
        return input_dict | {
            "model": [models[model_of[push]] for push in last],
            "pushed_model": [pushes[push] for push in last],
        }


def _read_by_pushers(
    store: ml_metadata.MetadataStore, pushes: Collection[int]
) -> Iterator[tuple[int, int]]:
    """Yields (push, artifact), the ids of each push and of each input of its Pusher."""
    made = store.get_events_by_artifact_ids(list(pushes)) if pushes else []
    pusher = {event.execution_id: event.artifact_id for event in made if event.type == _OUTPUT}
    read = store.get_events_by_execution_ids(list(pusher)) if pusher else []
    for event in read:
        if event.type == _INPUT:
            yield pusher[event.execution_id], event.artifact_id
