"""Stages run as a cluster's containers would, beside a local run of the same configuration."""

from pathlib import Path

import pytest
from command_line import CommandLine
from kubeflow_cluster import Cluster

from pipeline.runs import fingerprints

pytestmark = pytest.mark.slow

SETTINGS = ("bible", "--preset", "smoke")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Cluster:
    """After the stages up to Transform."""
    store = tmp_path_factory.mktemp("cluster")
    spec = store / "bible.yaml"
    CommandLine(store).succeeds(
        "compile", "kubeflow", *SETTINGS, "--image", "registry.example/tf-mamba:1",
        "--pipeline-root", "minio://mlpipeline/tf_mamba", "--volume", f"models:{store}/volume",
        "--out", str(spec),
    )  # fmt: skip
    cluster = Cluster(spec, store)
    cluster.run("Transform")
    return cluster


def test_containers_make_the_same_data_as_a_local_run(bible, cluster):
    local = bible.summary("bible")["hashes"]
    examples = cluster.path("TextExampleGen", "examples")
    assert fingerprints.of_examples(examples) == local["examples"]
    graph = cluster.path("Transform", "transform_graph")
    assert fingerprints.of_vocabulary(graph) == local["vocabulary"]
    transformed = cluster.path("Transform", "transformed_examples")
    assert fingerprints.of_examples(transformed) == local["transformed examples"]


def test_artifacts_are_told_of_by_their_uris_and_keep_their_types(cluster):
    (records,) = cluster.outputs["TextExampleGen"]["records"]["artifacts"]
    root = "minio://mlpipeline/tf_mamba/bible"
    assert records["uri"] == f"{root}/TextExampleGen/records"
    (blessing,) = cluster.outputs["DataGate"]["blessing"]["artifacts"]
    assert blessing["metadata"]["blessed"] == 1
    assert not list(Path(cluster.store, "minio").glob("**/output_metadata.json"))
