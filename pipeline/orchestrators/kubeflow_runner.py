"""Compiles the pipeline to a spec that Kubeflow Pipelines v2 and Vertex AI Pipelines run.

The stages are those of the local runner. Each becomes a container of one image (Dockerfile)
that runs kubeflow_executor.py. Artifacts go to an object store. Pushed models and checkpoints go
to a folder that all containers share: a volume on Kubeflow, the mounted object store on Vertex AI.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from data.errors import UserError
from data.files import write_whole
from data.records import Source
from pipeline.config import RunConfig
from pipeline.orchestrators.beam import Beam
from pipeline.orchestrators.definition import without_metadata
from pipeline.orchestrators.kubeflow_executor import STORES
from pipeline.pipeline import create_pipeline
from pipeline.places import Places

# Where the image has this project's sources; see Dockerfile.
IMAGE_FOLDER = "/opt/tf_mamba"
_COMMAND = ("python", "-m", "pipeline.orchestrators.kubeflow_executor")
_ROOT = re.compile(r"[a-z0-9]+://[^/\s]+(/[^/\s]+)*")
_CLAIM = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")  # a Kubernetes name


@dataclass(frozen=True)
class Volume:
    """A Kubernetes volume that every stage's container mounts."""

    claim: str  # name of the PersistentVolumeClaim
    path: Path  # where containers find it

    @classmethod
    def parse(cls, text: str) -> Volume:
        """Reads CLAIM:PATH."""
        claim, _, path = text.partition(":")
        if not _CLAIM.fullmatch(claim) or not path.startswith("/") or path == "/":
            raise UserError(
                f"--volume: expected CLAIM:PATH, the name of a PersistentVolumeClaim and the folder"
                f" to mount it at, as in models:/mnt/tf_mamba; got {text!r}"
            )
        return cls(claim, Path(path))


@dataclass(frozen=True)
class Cluster:
    """The image of a cluster's containers, and where they keep their files."""

    image: str
    root: str  # of artifacts: URI of a folder in an object store
    shared: Path  # a folder that all containers see
    serving_models: Path  # pushed models, <task>/<version>
    volume: Volume | None = None  # mounted at `shared`; None: the cluster mounts it by itself

    @classmethod
    def kubeflow(
        cls, image: str, root: str, volume: Volume, serving_models: Path | None = None
    ) -> Cluster:
        """Kubeflow Pipelines: containers share a volume.

        Raises:
            UserError: if an argument is malformed, or pushed models would be lost.
        """
        root = _checked_root(root, STORES)
        pushed = serving_models or volume.path / "serving_models"
        if not pushed.is_relative_to(volume.path):
            raise UserError(
                f"--serving-models {pushed}: expected a folder of the volume, below {volume.path};"
                " elsewhere models would be lost with the container"
            )
        return cls(_checked_image(image), root, volume.path, pushed, volume)

    @classmethod
    def vertex(cls, image: str, root: str, serving_models: Path | None = None) -> Cluster:
        """Vertex AI: containers see buckets at /gcs.

        Raises:
            UserError: if an argument is malformed, or pushed models would be lost.
        """
        root = _checked_root(root, ("gs://",))
        shared = Path("/gcs", root.removeprefix("gs://"))
        pushed = serving_models or shared / "serving_models"
        if not pushed.is_relative_to("/gcs"):
            raise UserError(
                f"--serving-models {pushed}: expected a folder below /gcs/BUCKET; elsewhere models"
                " would be lost with the container"
            )
        return cls(_checked_image(image), root, shared, pushed)

    def places(self) -> Places:
        """Where files go, as a container sees it."""
        return _ContainerPlaces(self.shared / "runs", self.serving_models, uri=self.root)

    def check_source(self, source: Source) -> None:
        """Raises UserError if the containers cannot read the source."""
        seen = self.volume.path if self.volume else Path("/gcs")
        if source.kind != "packaged" and not Path(source.path).is_relative_to(seen):
            raise UserError(
                f"--source {source.path}: the stages' containers do not see this path. Put it below"
                f" {seen}, here and there, or omit the option for the packaged corpus"
            )


@dataclass(frozen=True)
class _ContainerPlaces(Places):
    """Paths as containers see them."""

    uri: str = ""

    def pipeline_root(self, task: str) -> str:
        return f"{self.uri}/{task}"


def compile_spec(
    config: RunConfig, source: Source, cluster: Cluster, beam: Beam
) -> list[dict[str, Any]]:
    """Compiles the pipeline.

    Returns:
        A PipelineJob of Kubeflow's API, which holds the PipelineSpec; then, if containers mount
        a volume, the PlatformSpec.

    Raises:
        UserError: if the containers cannot read the source, or a stage cannot run there.
    """
    cluster.check_source(source)
    if config.infra_check.tfx_infra_validator:
        raise UserError(
            "infra_check.tfx_infra_validator: TFX cannot compile InfraValidator for Kubeflow; leave"
            " it off, InfraCheck runs"
        )
    beam_args = beam.container_args(f"{IMAGE_FOLDER}/setup.py")
    context = without_metadata(config)
    pipeline = create_pipeline(config, source, cluster.places(), beam_args, context)
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=cluster.image,
            default_commands=list(_COMMAND),
            use_pipeline_spec_2_1=True,  # which kfp's SDK from 2.0 on takes
        )
    )
    job = runner.run(pipeline, write_out=False)
    spec = job["pipelineSpec"]
    spec["defaultPipelineRoot"] = cluster.places().pipeline_root(config.task.name)
    # Its parameters do not tell of new pushes, so it must not be cached.
    del spec["root"]["dag"]["tasks"]["Baseline"]["cachingOptions"]
    return [job, *_platform(spec, cluster.volume)]


def _platform(spec: dict[str, Any], volume: Volume | None) -> list[dict[str, Any]]:
    if volume is None:
        return []
    mount = {
        "constant": volume.claim,
        "mountPath": str(volume.path),
        "pvcNameParameter": {"runtimeValue": {"constant": volume.claim}},
    }
    labels = spec["deploymentSpec"]["executors"]
    executors = {label: {"pvcMount": [mount]} for label in sorted(labels)}
    return [{"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}]


def write_spec(compiled: list[dict[str, Any]], path: Path) -> None:
    """Writes a compiled pipeline atomically.

    Args:
        compiled: from `compile_spec`.
        path: a .json file gets the job, for Vertex AI; a YAML file gets the spec and, as a second
            document, the platform's, for Kubeflow.

    Raises:
        UserError: if the file cannot be written.
    """
    job, *platform = compiled
    if path.suffix == ".json":
        text = json.dumps(job, indent=1, sort_keys=True) + "\n"
    else:
        import yaml

        text = yaml.safe_dump_all([job["pipelineSpec"], *platform], sort_keys=True)
    try:
        write_whole(path, text)
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written: {error.strerror}") from error


def _checked_root(root: str, stores: tuple[str, ...]) -> str:
    root = root.rstrip("/")
    if not root.startswith(stores) or not _ROOT.fullmatch(root):
        raise UserError(
            "--pipeline-root: expected a folder of an object store, as in"
            f" {', '.join(f'{store}BUCKET/FOLDER' for store in stores)}; got {root!r}"
        )
    return root


def _checked_image(image: str) -> str:
    if not image or re.search(r"\s", image):
        raise UserError(
            "--image: expected the image that Dockerfile builds, as in"
            f" REGISTRY/tf-mamba:VERSION; got {image!r}"
        )
    return image
