"""Answers to requests of both APIs, as protocol buffers, and a version's warm-up.

Rules and error messages are TensorFlow Serving's (predict_util.cc, classifier.cc,
get_model_metadata_impl.cc, get_model_status_impl.cc).
"""

from __future__ import annotations

import os
import time

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    input_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
)

from serving.errors import ServingError, invalid_argument
from serving.model_versions import ModelVersions
from serving.served_model import NO_DEADLINE, ServedModel
from serving.tensors import decode_inputs, encode, selected_outputs

DEFAULT_SIGNATURE = "serving_default"
CLASSIFY_METHOD = "tensorflow/serving/classify"
SIGNATURE_DEF = "signature_def"
WARM_UP_REQUESTS = "assets.extra/tf_serving_warmup_requests"
MOST_WARM_UP_REQUESTS = 1000


class Inference:
    """Answers requests with the served version. Thread-safe."""

    def __init__(self, versions: ModelVersions) -> None:
        self._versions = versions

    def predict(
        self, request: predict_pb2.PredictRequest, deadline: float
    ) -> predict_pb2.PredictResponse:
        """Predict; `deadline` is in seconds since the epoch, here and below."""
        with self._versions.lease(self.wanted_version(request)) as model:
            return predict(model, request, deadline)

    def classify(
        self, request: classification_pb2.ClassificationRequest, deadline: float
    ) -> classification_pb2.ClassificationResponse:
        with self._versions.lease(self.wanted_version(request)) as model:
            return classify(model, request, deadline)

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, deadline: float
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        version = self.wanted_version(request)
        if not request.metadata_field:
            raise invalid_argument(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != SIGNATURE_DEF:
                raise invalid_argument(f"Metadata field {field} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._versions.lease(version) as model:
            response.model_spec.name = self._versions.name
            response.model_spec.version.value = model.version
            definitions = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in model.definitions.items():
                definitions.signature_def[name].CopyFrom(definition)
        response.metadata[SIGNATURE_DEF].Pack(definitions)
        return response

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest, deadline: float
    ) -> get_model_status_pb2.GetModelStatusResponse:
        _check_spec(request)
        name = request.model_spec.name
        if name != self._versions.name:
            raise _not_found(f"Could not find any versions of model {name}")
        version = _version(request.model_spec)
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, (state, code, message) in self._versions.status().items():
            if version in (None, number):
                status = response.model_version_status.add(version=number)
                status.state = status.State.Value(state)
                status.status.error_code = code
                status.status.error_message = message
        if not response.model_version_status:
            raise _not_found(f"Could not find version {version} of model {name}")
        return response

    def input_definitions(self, request: predict_pb2.PredictRequest) -> meta_graph_pb2.SignatureDef:
        """The definition of a REST request's signature, which tells how to read its JSON."""
        with self._versions.lease(self.wanted_version(request)) as model:
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            if name not in model.signatures:
                raise invalid_argument(
                    f'Serving signature name: "{name}" not found in signature def'
                )
            return model.signatures[name].definition

    def wanted_version(self, request: predict_pb2.PredictRequest) -> int | None:
        """The version that a request names, if any.

        Raises:
            ServingError: INVALID_ARGUMENT, or NOT_FOUND for another model.
        """
        _check_spec(request)
        spec = request.model_spec
        version = _version(spec)
        if spec.name != self._versions.name:
            which = (
                f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
            )
            raise _not_found(f"Servable not found for request: {which}")
        return version


def _check_spec(request: predict_pb2.PredictRequest) -> None:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    if not request.model_spec.name:
        raise invalid_argument("ModelSpec has no name specified.")


def _version(spec: model_pb2.ModelSpec) -> int | None:
    if spec.WhichOneof("version_choice") == "version_label":
        raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
    return spec.version.value if spec.HasField("version") else None


def _not_found(message: str) -> ServingError:
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


def predict(
    model: ServedModel, request: predict_pb2.PredictRequest, deadline: float = NO_DEADLINE
) -> predict_pb2.PredictResponse:
    """Predict with one version."""
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = model.signatures.get(name)
    if signature is None:
        raise ServingError(
            grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
        )
    wanted = selected_outputs(signature.definition, list(request.output_filter))
    inputs = decode_inputs(signature.definition, request.inputs)
    outputs = model.run(signature, inputs, deadline)
    response = predict_pb2.PredictResponse()
    _fill_spec(response.model_spec, request.model_spec.name, model, name)
    for output in wanted:
        dtype = tf.as_dtype(signature.definition.outputs[output].dtype)
        response.outputs[output].CopyFrom(encode(outputs[output], dtype))
    return response


def classify(
    model: ServedModel,
    request: classification_pb2.ClassificationRequest,
    deadline: float = NO_DEADLINE,
) -> classification_pb2.ClassificationResponse:
    """Classify with one version: `inputs`, serialized tf.Examples, to `classes` and `scores`."""
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = model.signatures.get(name)
    if signature is None:
        raise invalid_argument(f"No signature was found with the name: {name}")
    if signature.definition.method_name != CLASSIFY_METHOD:
        raise invalid_argument(
            f"Expected classification signature method_name to be {CLASSIFY_METHOD}."
            f" Was: {signature.definition.method_name}"
        )
    examples = _serialized_examples(request.input)
    outputs = model.run(signature, {"inputs": np.array(examples, object)}, deadline)
    classes, scores = outputs.get("classes"), outputs.get("scores")
    for key, array in (("classes", classes), ("scores", scores)):
        if array is not None and (array.ndim != 2 or len(array) != len(examples)):
            raise invalid_argument(
                f"{key}: Expected Tensor shape: [batch_size num_classes] but got {array.shape}"
            )
    response = classification_pb2.ClassificationResponse()
    _fill_spec(response.model_spec, request.model_spec.name, model, name)
    for row in range(len(examples)):
        _add_classes(
            response.result.classifications.add(),
            None if classes is None else classes[row],
            None if scores is None else scores[row],
        )
    return response


def _add_classes(
    to: classification_pb2.Classifications, labels: np.ndarray | None, scores: np.ndarray | None
) -> None:
    for i in range(len(labels if labels is not None else scores)):  # type: ignore[arg-type]
        added = to.classes.add()
        if labels is not None:
            added.label = labels[i].decode("utf-8", "replace")
        if scores is not None:
            added.score = scores[i]


def _serialized_examples(given: input_pb2.Input) -> list[bytes]:
    kind = given.WhichOneof("kind")
    context = b""
    if kind == "example_list_with_context":
        # Concatenating serialized messages merges them.
        context = given.example_list_with_context.context.SerializeToString()
    examples = getattr(given, kind).examples if kind else []
    if not examples:
        raise invalid_argument("Input is empty.")
    return [context + example.SerializeToString() for example in examples]


def _fill_spec(spec: model_pb2.ModelSpec, name: str, model: ServedModel, signature: str) -> None:
    spec.name = name
    spec.version.value = model.version
    spec.signature_name = signature


def deadline_after(seconds: float | None) -> float:
    """The deadline of a request that may take `seconds`; None: any time."""
    return NO_DEADLINE if seconds is None else time.time() + seconds


def warm_up(model: ServedModel) -> int:
    """Replays a version's warm-up requests; returns how many there were.

    TensorFlow Serving does so before it serves a version: they are a TFRecord of at most 1,000
    PredictionLogs.

    Raises:
        ServingError: if a request fails, or there are more than MOST_WARM_UP_REQUESTS.
        tf.errors.DataLossError: if the file is not a TFRecord.
    """
    path = os.path.join(model.folder, WARM_UP_REQUESTS)
    if not tf.io.gfile.exists(path):
        return 0
    count = 0
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        count += 1
        if count > MOST_WARM_UP_REQUESTS:
            raise invalid_argument(
                f"Number of warmup records exceeds the maximum ({MOST_WARM_UP_REQUESTS}) at {path}"
            )
        log = prediction_log_pb2.PredictionLog.FromString(record)
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            predict(model, log.predict_log.request)
        elif kind == "classify_log":
            classify(model, log.classify_log.request)
        else:
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED, f"{path}: warm-up by {kind} is not implemented"
            )
    return count
