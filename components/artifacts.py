"""Artifact types that TFX does not define.

Kubeflow Pipelines requires names of the form `<namespace>.<Title>` and types without
properties, so values are custom properties.
"""

from tfx.types.artifact import Artifact


class IngestRecords(Artifact):
    """TextExampleGen's account of all records that it read; DataGate reads it.

    Files: records.json, the ledger (see `text_example_gen/transforms.py`), and dead_letters.jsonl,
    one line per record that cannot be used (see `data/dead_letters.py`).
    """

    TYPE_NAME = "tf_mamba.IngestRecords"


class DataBlessing(Artifact):
    """DataGate's verdict on the data.

    Custom property `blessed`: 1 without findings, else 0. File: report.json.
    """

    TYPE_NAME = "tf_mamba.DataBlessing"


class ModelCard(Artifact):
    """The model card: made by ModelCard, pushed with the model by Pusher.

    Files: model_card.json, and model_card.md with the same content for readers.
    """

    TYPE_NAME = "tf_mamba.ModelCard"


class HTML(Artifact):
    """RunReport's page; the URI is that of the file.

    Kubeflow Pipelines displays artifacts with this type name.
    """

    TYPE_NAME = "system.HTML"


TYPES = (IngestRecords, DataBlessing, ModelCard, HTML)
