"""Transform's function with the tasks of both kinds, as parameters of the stage."""

import dataclasses
import json

import apache_beam as beam
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from data.normal_form import NormalForm
from data.tasks import Task
from pipeline.transform.preprocessing import preprocessing_fn

TEXTS = [
    "In the beginning God created the heaven and the earth.",
    "And the earth was without form, and void;",
    "And God said, Let there be light: and there was light.",
]
FORM = NormalForm(rules=((";$", "."),), lower=True)
CLASSES = ("first", "second", "third")


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    """Transforms the texts with a task; returns its graph and the transformed rows."""

    def transform(task, labels):
        config = {"task": dataclasses.asdict(task), "vocabulary_size": 290, "head": 6, "tail": 2}
        config = json.loads(json.dumps(config))  # as TFX keeps it
        spec = {"text": tf.io.FixedLenFeature([1], tf.string)}
        rows = [{"text": [text.encode()]} for text in TEXTS]
        if labels:
            spec["label"] = tf.io.FixedLenFeature([1], tf.int64)
            rows = [row | {"label": [i]} for i, row in enumerate(rows)]
        metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
        folder = str(tmp_path_factory.mktemp("transform"))
        with beam.Pipeline(runner="FnApiRunner"), tft_beam.Context(temp_dir=folder + "/tmp"):
            (data, _), function = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
                lambda inputs: preprocessing_fn(inputs, config)
            )
            _ = function | tft_beam.WriteTransformFn(folder)
        return tft.TFTransformOutput(folder), data

    return transform


def test_a_classifications_texts_are_cut_and_keep_their_labels(transformed):
    _, rows = transformed(Task("verses", "classification", CLASSES, FORM), labels=True)
    assert sorted(int(row["label"]) for row in rows) == [0, 1, 2]
    assert {len(row["tokens$ragged_values"]) for row in rows} == {8}


def test_next_token_texts_are_whole_and_have_no_label(transformed):
    graph, rows = transformed(Task("verses", "next-token", (), FORM), labels=False)
    assert set(graph.transformed_feature_spec()) == {"tokens"}
    assert all(len(row["tokens$ragged_values"]) > 8 for row in rows)
