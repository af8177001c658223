"""The gRPC services other than Predict."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from small_model import CLASSES
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    regression_pb2,
)


def _example(**features):
    example = tf.train.Example()
    for name, value in features.items():
        example.features.feature[name].bytes_list.value.append(value.encode())
    return example


def _classify_request(texts, signature="classify"):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "small"
    request.model_spec.signature_name = signature
    for text in texts:
        request.input.example_list.examples.add().CopyFrom(_example(text=text))
    return request


def _refused(call, request, code, message):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    assert (caught.value.code(), message in caught.value.details()) == (code, True)


def test_classify_gives_each_examples_classes_with_their_scores(server, texts):
    response = server.prediction.Classify(_classify_request(texts))
    expected = server.predict({"text": texts}).outputs["probability"].float_val
    assert response.model_spec.version.value == 1
    classified = response.result.classifications
    assert [[c.label for c in of.classes] for of in classified] == [list(CLASSES)] * len(texts)
    scores = [[c.score for c in of.classes] for of in classified]
    np.testing.assert_allclose(np.square(expected), np.array(scores)[:, 2], rtol=1e-5)
    np.testing.assert_allclose(np.sum(scores, axis=1), 1, rtol=1e-6)


def test_classify_merges_the_context_into_each_example(server):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "small"
    request.model_spec.signature_name = "classify"
    examples = request.input.example_list_with_context
    examples.context.CopyFrom(_example(text="A fine word."))
    examples.examples.add()
    examples.examples.add().CopyFrom(_example(year="1994"))
    scores = [
        of.classes[2].score for of in server.prediction.Classify(request).result.classifications
    ]
    expected = server.predict({"text": ["A fine word."]}).outputs["probability"].float_val[0]
    assert scores == [pytest.approx(expected**2)] * 2


def test_classify_refuses_wrong_requests(server):
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    classify = server.prediction.Classify
    _refused(classify, _classify_request([]), invalid, "Input is empty.")
    message = "Expected classification signature method_name to be tensorflow/serving/classify."
    _refused(classify, _classify_request(["a"], ""), invalid, message)
    message = "No signature was found with the name: sing"
    _refused(classify, _classify_request(["a"], "sing"), invalid, message)
    without_text = _classify_request(["a"])
    without_text.input.example_list.examples[0].features.feature.clear()
    _refused(classify, without_text, invalid, "text (data type: string) is required")


def test_metadata_holds_every_signature(server):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "small"
    response = server.prediction.GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "classify", "slow", "sums"} <= set(signatures.signature_def)
    assert signatures.signature_def["slow"].inputs["work"].dtype == tf.int32.as_datatype_enum
    assert response.model_spec.version.value == 1
    call, invalid = server.prediction.GetModelMetadata, grpc.StatusCode.INVALID_ARGUMENT
    request.metadata_field[0] = "weights"
    _refused(call, request, invalid, "Metadata field weights is not supported")
    del request.metadata_field[:]
    _refused(call, request, invalid, "must specify at least one metadata_field")


def test_status_reports_the_states_of_versions(server):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "small"
    (status,) = server.model.GetModelStatus(request).model_version_status
    assert (status.version, status.state) == (1, status.AVAILABLE)
    request.model_spec.version.value = 7
    call, not_found = server.model.GetModelStatus, grpc.StatusCode.NOT_FOUND
    _refused(call, request, not_found, "Could not find version 7 of model small")
    request.model_spec.name = "large"
    _refused(call, request, not_found, "Could not find any versions of model large")


def test_unimplemented_methods_say_so(server):
    code = grpc.StatusCode.UNIMPLEMENTED
    _refused(server.prediction.Regress, regression_pb2.RegressionRequest(), code, "Regress")
    request = inference_pb2.MultiInferenceRequest()
    _refused(server.prediction.MultiInference, request, code, "MultiInference")


def test_malformed_messages_are_refused(server):
    call = server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    message = "the request is not a tensorflow.serving.PredictRequest"
    _refused(call, b"\xff\xff\xff", grpc.StatusCode.INVALID_ARGUMENT, message)


def test_the_health_service_reports_each_service(server):
    stub = health_pb2_grpc.HealthStub(server.channel)
    for service in ("", "tensorflow.serving.PredictionService"):
        status = stub.Check(health_pb2.HealthCheckRequest(service=service)).status
        assert status == health_pb2.HealthCheckResponse.SERVING
