"""Resolver strategy: the last pushed model other than the candidate, if it is undamaged.

TFX's LatestBlessedModelStrategy considers only the Evaluator's blessing, so a model that could not
be served would become the baseline. And a repeated run, whose candidate comes from the cache and
is already blessed, would compare the model with itself.
"""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

import ml_metadata
from ml_metadata.proto import metadata_store_pb2 as pb
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

from components import content

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
        last = _newest_undamaged(sorted(model_of, reverse=True), model_of, models)
        # TFX requires each input in the result; otherwise the Resolver fails.
        return input_dict | {
            "model": [models[model_of[push]] for push in last],
            "pushed_model": [pushes[push] for push in last],
        }


def _newest_undamaged(
    newest_first: Sequence[int],
    model_of: Mapping[int, int],
    models: Mapping[int, types.Artifact],
) -> list[int]:
    """The first push whose model is as it was made; tells of each that is passed over."""
    for push in newest_first:
        model = models[model_of[push]]
        found = content.differences(model.uri, content.of_artifact(model))
        if not found:
            return [push]
        print(
            f"warning: a pushed model is not as it was made: {found[0]}: the new one is compared"
            " with the model pushed before it, if there is one",
            file=sys.stderr,
        )
    return []


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
