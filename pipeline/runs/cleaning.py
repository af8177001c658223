"""Finds and removes files that no recent run and no pushed model needs.

Of each task, these files stay:

- the outputs of the newest runs, cached ones too, and everything that they were made from;
- the same for the last pushed model and for every pushed version that still exists;
- the PushedModel artifacts of models that stay: a later run finds its baseline by them;
- the folders of these runs, and checkpoints written since the oldest of the newest runs began
  (a killed training resumes from them);
- the records of searches that are among the newest runs.

Artifacts are marked as deleted in ML Metadata before their files are removed, so that TFX's
cache never offers them. ML Metadata keeps the records of artifacts and runs. Pushed models are
never touched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb
from tabulate import tabulate

from components import serving_versions
from data.errors import UserError
from pipeline.places import Places
from pipeline.pushed_models import rollback
from pipeline.runs import records
from pipeline.runs import store as metadata
from pipeline.runs.records import PastRun


@dataclass(frozen=True)
class Removal:
    """A folder or file to remove."""

    task: str
    kind: str  # such as artifacts, or leftovers: files that ML Metadata has no artifact for
    path: Path
    size: int  # bytes


@dataclass(frozen=True)
class Plan:
    """Everything to remove."""

    removals: tuple[Removal, ...]
    artifacts: tuple[pb.Artifact, ...]  # to mark as deleted

    def as_text(self) -> str:
        """The number and size of the removals, one line per task and kind."""
        groups: dict[tuple[str, str], list[int]] = {}
        for removal in sorted(self.removals, key=lambda r: (r.task, r.kind)):
            groups.setdefault((removal.task, removal.kind), []).append(removal.size)
        groups["total", ""] = [removal.size for removal in self.removals]
        rows = [(*group, len(sizes), _bytes(sum(sizes))) for group, sizes in groups.items()]
        align = ("left", "left", "right", "right")
        return tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=align)


def tasks_with_runs(places: Places) -> list[str]:
    """The tasks that have runs."""
    return sorted({run.task for run in records.past_runs(places)})


def plan(places: Places, tasks: Iterable[str], keep: int) -> Plan:
    """Finds what to remove.

    Args:
        keep: how many of the newest runs of each task stay; 1 or more.

    Raises:
        UserError: if the metadata store's records are about another root folder.
    """
    store = metadata.open_store(places)
    removals: list[Removal] = []
    artifacts: list[pb.Artifact] = []
    for task in tasks:
        files = _TaskFiles(store, places, task, keep)
        removals += [
            Removal(task, kind, path, _size(path)) for kind, path in _unreferenced(files, places)
        ]
        artifacts += files.unreferenced
    return Plan(tuple(removals), tuple(artifacts))


def remove(places: Places, found: Plan) -> None:
    """Removes what `plan` found. If this is killed, the next plan finds the remaining files."""
    for artifact in found.artifacts:
        artifact.state = pb.Artifact.DELETED
    if found.artifacts and (store := metadata.open_store(places, create=True)):
        store.put_artifacts(list(found.artifacts))
    for removal in found.removals:
        if removal.path.is_dir():
            shutil.rmtree(removal.path)
        else:
            removal.path.unlink()


class _TaskFiles:
    """A task's files in one root folder, by ML Metadata, and which of them stay."""

    def __init__(self, store: mlmd.MetadataStore, places: Places, task: str, keep: int):
        self.task = task
        self._root = f"{places.artifacts(task)}{os.sep}"
        pipeline = store.get_context_by_type_and_name(records.PIPELINE, task)
        self._artifacts = {a.id: a for a in store.get_artifacts_by_context(pipeline.id)}
        self._check_root()
        executions = {e.id: e for e in store.get_executions_by_context(pipeline.id)}
        self._events = store.get_events_by_execution_ids(list(executions)) if executions else []
        self._made_by = {
            event.artifact_id: event.execution_id
            for event in self._events
            if event.type == pb.Event.OUTPUT
            and executions[event.execution_id].last_known_state == pb.Execution.COMPLETE
        }
        of_run = {
            run: {e.id for e in store.get_executions_by_context(run.context)}
            for run in records.runs_in(store)
            if run.task == task
        }
        # A store on a server may also have runs of other root folders.
        known = [run for run, ids in of_run.items() if self._is_here(run, ids, places)]
        self.newest = known[-keep:]
        self.known = {run.run_id for run in known}
        self.all_stay = len(known) <= keep
        self.executions = {number for run in self.newest for number in of_run[run]}
        self.searches = _searches([executions[number] for number in self.executions])

        self._pushed = records.pushed_models(store, task)
        models = self._pushed_models()
        makers = {self._made_by.get(number) for number in models}
        self.runs = {run.run_id for run in self.newest} | {
            run.run_id for run, ids in of_run.items() if ids & makers
        }
        self._kept = self._with_pushes(self._with_origins(self._used(self.executions) | models))

    @property
    def unreferenced(self) -> list[pb.Artifact]:
        """Artifacts to mark as deleted."""
        return [
            artifact
            for artifact in self._artifacts.values()
            if artifact.id not in self._kept
            and artifact.state == pb.Artifact.LIVE
            and artifact.uri.startswith(self._root)
        ]

    @property
    def uris(self) -> set[str]:
        """URIs of artifacts that stay."""
        return {self._artifacts[n].uri for n in self._kept if n in self._artifacts}

    @property
    def all_uris(self) -> set[str]:
        return {artifact.uri for artifact in self._artifacts.values()}

    def _check_root(self) -> None:
        live = [a.uri for a in self._artifacts.values() if a.state == pb.Artifact.LIVE]
        if live and not any(uri.startswith(self._root) for uri in live):
            raise UserError(
                f"{self._root}: the metadata store has no files there, but for example"
                f" {live[-1]}; give the --root of these runs"
            )

    def _is_here(self, run: PastRun, executions: set[int], places: Places) -> bool:
        used = self._used(executions)
        return (
            places.run(self.task, run.run_id).exists()
            or any(
                self._artifacts[n].uri.startswith(self._root) for n in used if n in self._artifacts
            )
            or not used
        )

    def _used(self, executions: Collection[int]) -> set[int]:
        """The inputs and outputs of executions, and what they looked up."""
        return {e.artifact_id for e in self._events if e.execution_id in executions}

    def _pushed_models(self) -> set[int]:
        """The last pushed model, and those whose version still exists."""
        last = [push.id for push in self._pushed if push.state == pb.Artifact.LIVE][-1:]
        return {p.id for p in self._pushed if _exists(Path(records.pushed_to(p)))} | set(last)

    def _with_origins(self, artifacts: set[int]) -> set[int]:
        found, waiting = set(artifacts), list(artifacts)
        # All outputs of an execution stay together: the cache needs all or none.
        around: dict[int, list[int]] = {}
        for event in self._events:
            if event.type in (pb.Event.INPUT, pb.Event.OUTPUT):
                around.setdefault(event.execution_id, []).append(event.artifact_id)
        while waiting:
            maker = self._made_by.get(waiting.pop())
            for number in around.get(maker, ()) if maker is not None else ():
                if number not in found:
                    found.add(number)
                    waiting.append(number)
        return found

    def _with_pushes(self, artifacts: set[int]) -> set[int]:
        pusher = {self._made_by.get(push.id): push.id for push in self._pushed}
        return artifacts | {
            pusher[event.execution_id]
            for event in self._events
            if event.type == pb.Event.INPUT
            and event.execution_id in pusher
            and event.artifact_id in artifacts
            and self._artifacts[event.artifact_id].type == "Model"
        }


def _exists(pushed: Path) -> bool:
    """Whether a pushed version exists, or a rollback gave its content to another version."""
    base = pushed.parent
    contents = {rollback.content_of(base, n) for n in serving_versions.versions(base)}
    return pushed.is_dir() or pushed.name in map(str, contents)


def _searches(executions: Iterable[pb.Execution]) -> set[str]:
    """The search folders in the Tuners' parameters."""
    configs = map(records.custom_config, executions)
    return {config["search"] for config in configs if "search" in config}


def _unreferenced(files: _TaskFiles, places: Places) -> Iterator[tuple[str, Path]]:
    """Kind and path of everything to remove."""
    kept, known = files.uris, files.all_uris
    for stage in _entries(places.artifacts(files.task)):
        for output in _entries(stage):
            # <stage>/<output>/<execution>, and <stage>/.system/<purpose>/<execution>
            groups = _entries(output) if output.name == ".system" else [output]
            for path in (path for group in groups for path in _entries(group)):
                execution = path.name.partition("-")[0]  # <execution>-dead_letters.jsonl
                of_newest = execution.isdigit() and int(execution) in files.executions
                if str(path) in kept or of_newest:
                    continue
                yield "artifacts" if str(path) in known else "leftovers", path
    latest = places.run(files.task, "latest")
    stay = files.runs | ({latest.readlink().name} if latest.is_symlink() else set())
    for path in _entries(places.runs / files.task):
        if path.name in files.known - stay and not path.is_symlink():
            yield "run folders", path
    if not files.all_stay:
        since = files.newest[0].started / 1000
        for path in _entries(places.checkpoints(files.task)):
            if max((f.stat().st_mtime for f in path.rglob("*")), default=0.0) < since:
                yield "checkpoints", path
    for path in _entries(places.tuning(files.task)):
        if str(path) not in files.searches:
            yield "tuning records", path


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def _size(path: Path) -> int:
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_symlink() or file.is_file())


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
