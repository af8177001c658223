"""A model used in this process, without a server."""

import shutil
import weakref

import grpc
import numpy as np
import pytest

from serving.errors import ServingError
from serving.served_model import ServedModel


@pytest.fixture(scope="module")
def model(saved_version):
    return ServedModel(saved_version)


def test_lists_and_arrays_give_arrays_and_defaults_fill_in_the_rest(model):
    outputs = model.predict("slow", text=["four", b"\xffseven\0"])
    assert outputs["scaled"].tolist() == [2.0, 3.5]
    assert outputs["text_bytes"].tolist() == [b"four", b"\xffseven\0"]
    assert model.predict("slow", text=["four"], scale=[3])["scaled"].tolist() == [12.0]
    pairs = np.array([[1, 2], [10, 20]], np.int32)
    assert model.predict("sums", pairs=pairs)["sums"].tolist() == [11, 22]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "Missing but required: {text}"),
        ({"text": ["a"], "seed": [1]}, "Sent extra: {seed}"),
        ({"text": ["a"], "work": [2**31]}, r"work: expected int32, got \[2147483648\]"),
        ({"text": ["a"], "work": [-(2**70)]}, "work: expected int32, got"),
        ({"text": ["x" * 20_001]}, "the text is too long"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(model, inputs, message):
    signature = "slow" if "work" in inputs else "serving_default"
    with pytest.raises(ServingError, match=message) as caught:
        model.predict(signature, **inputs)
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_a_signature_that_is_not_there_is_not_replaced_by_another(model):
    with pytest.raises(KeyError, match="generate"):
        model.predict("generate", text=["a"])


def test_the_folder_needs_no_number(saved_version, tmp_path):
    folder = tmp_path / "Format-Serving"
    shutil.copytree(saved_version, folder)
    model = ServedModel(str(folder))
    assert model.version == 0
    assert model.predict("slow", text=["four"])["scaled"].tolist() == [2.0]


def test_the_session_goes_with_the_model(saved_version):
    model = ServedModel(saved_version)
    session = weakref.ref(model._session)
    del model
    assert session() is None
