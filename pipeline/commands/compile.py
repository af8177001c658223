"""`tf-mamba compile`: compiles the pipeline to a spec that a cluster runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow

if TYPE_CHECKING:
    from pipeline.orchestrators.kubeflow_runner import Cluster

# Target to file suffix.
_TARGETS = {"kubeflow": "yaml", "vertex": "json"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("target", choices=tuple(_TARGETS), help="the system that runs the pipeline")
    shared.add_configuration(parser)
    parser.add_argument("--image", required=True, help="the container image that Dockerfile builds")
    parser.add_argument(
        "--pipeline-root",
        required=True,
        metavar="URI",
        help="where artifacts go: gs://BUCKET/FOLDER; with Kubeflow also s3:// or minio://",
    )
    parser.add_argument(
        "--volume",
        metavar="CLAIM:PATH",
        help="Kubeflow only: a PersistentVolumeClaim for pushed models and checkpoints, and where"
        " containers mount it",
    )
    parser.add_argument(
        "--serving-models",
        type=Path,
        metavar="PATH",
        help="folder of pushed models in the containers (default: serving_models/ in the volume,"
        " or with Vertex AI in the pipeline root on /gcs)",
    )
    parser.add_argument(
        "--beam-workers",
        type=shared.positive,
        default=1,
        metavar="N",
        help="Beam workers in each container (default: 1)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the spec, .yaml or .json (default: TASK_kubeflow.yaml or TASK_vertex.json)",
    )


def run(options: argparse.Namespace) -> int:
    """Writes the spec; returns the exit code."""
    out = options.out or Path(f"{options.task}_{options.target}.{_TARGETS[options.target]}")
    if out.suffix not in (".yaml", ".json"):
        raise UserError(f"--out {out}: expected a name that ends in .yaml or .json")
    if out.suffix == ".json" and options.target == "kubeflow":
        raise UserError(f"--out {out}: a JSON spec cannot mount a volume; use .yaml")
    import_tensorflow(options.debug)
    from pipeline.orchestrators import kubeflow_runner
    from pipeline.orchestrators.beam import Beam

    cluster = _cluster(options)
    config, source = shared.configuration(options, options.set)
    compiled = kubeflow_runner.compile_spec(config, source, cluster, Beam(options.beam_workers))
    kubeflow_runner.write_spec(compiled, out)
    stages = compiled[0]["pipelineSpec"]["root"]["dag"]["tasks"]
    print(f"{len(stages)} stages, pushing to {cluster.serving_models / config.task.name}")
    print(f"spec: {out}")
    return 0


def _cluster(options: argparse.Namespace) -> Cluster:
    from pipeline.orchestrators.kubeflow_runner import Cluster, Volume

    if options.target == "vertex":
        if options.volume:
            raise UserError("--volume: Vertex AI mounts buckets at /gcs by itself; leave it out")
        return Cluster.vertex(options.image, options.pipeline_root, options.serving_models)
    if not options.volume:
        raise UserError(
            "--volume: expected CLAIM:PATH; Kubeflow's containers share no other storage for pushed"
            " models"
        )
    return Cluster.kubeflow(
        options.image,
        options.pipeline_root,
        Volume.parse(options.volume),
        options.serving_models,
    )
