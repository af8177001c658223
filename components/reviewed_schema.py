"""ReviewedSchema: imports a hand-reviewed schema into the pipeline.

The cache key of TFX's ImportSchemaGen has the file's path, so it misses an edit of the schema. That
of ReviewedSchema has the schema's text.
"""

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts


@component
def ReviewedSchema(
    schema: OutputArtifact[standard_artifacts.Schema],
    pbtxt: Parameter[str],
    code_sha256: Parameter[str] = "",
):
    """Writes the schema artifact.

    Args:
        pbtxt: a tensorflow_metadata Schema in protobuf's text format.
        code_sha256: hash of the code of this component; a part of the cache key only.
    """
    import os

    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx.utils import io_utils

    io_utils.write_pbtxt_file(
        os.path.join(schema.uri, "schema.pbtxt"), text_format.Parse(pbtxt, schema_pb2.Schema())
    )
