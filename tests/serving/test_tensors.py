"""gRPC's tensors, checked against the signature; a wrong tensor gets INVALID_ARGUMENT."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from running_server import predict_request
from small_model import CLASSES
from tensorflow.core.framework import tensor_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def _refused(server, message, *arguments, code=INVALID, **more):
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(*arguments, **more)
    assert caught.value.code() == code
    assert message in caught.value.details()


def test_outputs_are_in_the_typed_fields_that_clients_read(server, texts):
    outputs = server.predict({"text": texts}).outputs
    assert len(outputs["probability"].float_val) == len(texts)
    assert not outputs["probability"].tensor_content
    assert set(outputs["label"].string_val) <= {name.encode() for name in CLASSES}
    of_slow = server.predict({"text": texts}, "slow").outputs
    assert [t.decode() for t in of_slow["text_bytes"].string_val] == texts
    lengths = [len(t.encode()) for t in texts]
    np.testing.assert_allclose(of_slow["scaled"].float_val, np.array(lengths) * 0.5)


def test_inputs_may_be_tensor_content_or_one_value_for_all(server):
    pairs = tf.make_tensor_proto(np.array([[1, 2, 3], [10, 20, 30]], np.int64))
    assert pairs.tensor_content
    assert server.predict({"pairs": pairs}, "sums").outputs["sums"].int64_val == [11, 22, 33]
    one = tf.make_tensor_proto(5, tf.int64, shape=[2, 4])
    assert len(one.int64_val) == 1
    assert server.predict({"pairs": one}, "sums").outputs["sums"].int64_val == [10] * 4


def test_only_the_outputs_of_the_filter_come_back(server):
    response = server.predict({"text": ["A word."]}, outputs=["label"])
    assert list(response.outputs) == ["label"]
    _refused(
        server,
        "output tensor alias not found in signature: score Outputs expected to be in the set"
        " {classes,label,probability,scores}.",
        {"text": ["a"]},
        outputs=["score"],
    )
    message = "duplicate output tensor alias: label"
    _refused(server, message, {"text": ["a"]}, outputs=["label", "label"])


def test_a_response_names_model_version_and_signature(server):
    spec = server.predict({"text": ["A word."]}).model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("small", 1, "serving_default")


def test_missing_inputs_get_the_defaults_of_the_signature(server):
    given = server.predict({"text": ["four"], "scale": [3.0]}, "slow")
    assert given.outputs["scaled"].float_val == [12.0]
    assert server.predict({"text": ["four"]}, "slow").outputs["scaled"].float_val == [2.0]


def test_a_setting_has_one_value_for_all_rows_or_one_per_row(server):
    texts = ["four", "four"]
    one = server.predict({"text": texts, "scale": [3.0]}, "slow")
    assert one.outputs["scaled"].float_val == [12.0, 12.0]
    each = server.predict({"text": texts, "scale": [3.0, 5.0]}, "slow")
    assert each.outputs["scaled"].float_val == [12.0, 20.0]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "Sent extra: {}. Missing but required: {text}."),
        ({"texts": ["a"]}, "Sent extra: {texts}. Missing but required: {text}."),
        ({"text": ["a"], "seed": [1]}, "2!=1 len({seed,text}) != len({text})"),
        ({"text": [1]}, "input 'text': expected dtype string, got int32"),
        ({"text": [["a"]]}, "input 'text': expected shape [-1], got [1, 1]"),
        ({"text": "a"}, "input 'text': expected shape [-1], got []"),
        ({"text": ["x" * 20_001]}, "the text is too long"),
    ],
)
def test_wrong_inputs_are_refused(server, inputs, message):
    _refused(server, message, inputs)


def test_a_fixed_axis_must_have_its_size(server):
    pairs = np.ones([3, 4], np.int64)
    _refused(server, "expected shape [2, -1], got [3, 4]", {"pairs": pairs}, "sums")


def _proto(dtype, sizes, **values):
    proto = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (_proto(7, [1], tensor_content=b"\xff\xff\xff"), "values are malformed"),
        (_proto(7, [-2], string_val=[b"a"]), "expected shape [-1], got [-2]"),
        (_proto(7, [1 << 40], string_val=[b"a"]), "expected at most 16777216 elements"),
        (_proto(0, [1]), "got number 0"),
        (_proto(999, [1]), "got number 999"),
    ],
    ids=["no content", "negative size", "a shape of a trillion", "no dtype", "odd dtype"],
)
def test_malformed_tensors_are_refused(server, proto, message):
    _refused(server, message, {"text": proto})


def test_an_unknown_rank_is_refused(server):
    proto = tensor_pb2.TensorProto(dtype=7, string_val=[b"a"])
    proto.tensor_shape.unknown_rank = True
    _refused(server, "got unknown", {"text": proto})


def test_an_empty_batch_gives_empty_outputs(server):
    outputs = server.predict({"text": np.array([], object)}).outputs
    assert tf.make_ndarray(outputs["label"]).shape == (0,)


def test_odd_texts_get_answers(server):
    texts = [b"", b" \t ", b"\xff\xfe caf\xe9", b"a\0b", "🎬🎬".encode(), "סרט טוב".encode()]
    answers = server.predict({"text": texts}).outputs["probability"].float_val
    alone = [server.predict({"text": [t]}).outputs["probability"].float_val[0] for t in texts]
    assert list(answers) == alone


def test_unknown_models_versions_and_signatures(server):
    inputs = {"text": ["a"]}
    not_found = grpc.StatusCode.NOT_FOUND
    message = "Servable not found for request: Latest(large)"
    _refused(server, message, inputs, name="large", code=not_found)
    message = "Servable not found for request: Specific(small, 7)"
    _refused(server, message, inputs, version=7, code=not_found)
    assert server.predict(inputs, version=1).model_spec.version.value == 1
    message = 'Serving signature key "sing" not found.'
    _refused(server, message, inputs, "sing", code=grpc.StatusCode.FAILED_PRECONDITION)
    _refused(server, "ModelSpec has no name specified.", inputs, name="")
    labelled = predict_request(inputs)
    labelled.model_spec.version_label = "stable"
    with pytest.raises(grpc.RpcError, match="Unrecognized servable version label: stable"):
        server.prediction.Predict(labelled)
    without = predict_request(inputs)
    without.ClearField("model_spec")
    with pytest.raises(grpc.RpcError, match="Missing ModelSpec"):
        server.prediction.Predict(without)
