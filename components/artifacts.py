"""Types of the artifacts that our components pass on and that TFX has no name for.

Kubeflow Pipelines asks for names of the form `<namespace>.<Title>`, and for types without
properties of their own: what would be one is a custom property.
"""

from tfx.types.artifact import Artifact


class IngestRecords(Artifact):
    """What became of every record that was read: made by TextExampleGen, read by DataGate.

    Files: records.json, the ledger (see `text_example_gen/transforms.py`), and dead_letters.jsonl,
    one line for each record that could not be used.
    """

    TYPE_NAME = "tf_mamba.IngestRecords"


class DataBlessing(Artifact):
    """DataGate's verdict on the data.

    Custom property `blessed`: 1 where nothing was found, else 0.  File: report.json.
    """

    TYPE_NAME = "tf_mamba.DataBlessing"


class ModelCard(Artifact):
    """What a model is, how good, and for what: made by ModelCard, put beside the model by Pusher.

    Files: model_card.json, and the same to be read, model_card.md.
    """

    TYPE_NAME = "tf_mamba.ModelCard"


class HTML(Artifact):
    """A page to look at, made by RunReport: its URI is the file.

    Kubeflow Pipelines shows artifacts of a type of this name.
    """

    TYPE_NAME = "system.HTML"


TYPES = (IngestRecords, DataBlessing, ModelCard, HTML)
