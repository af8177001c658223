"""The pushed models, loaded as a server loads them."""

import functools
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from command_line import PROJECT
from read_corpora import BIBLE, records
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from data.errors import UserError
from mamba_model import MambaConfig, NextTokenModel, TextClassifier
from pipeline.pushed_models import model as pushed_model
from pipeline.transform.token_ids import LINE_END_ID, START_ID
from pipeline.transform.vocabulary import read_vocabulary
from serving.served_model import ServedModel

pytestmark = pytest.mark.slow

ODD_TEXTS = ["", " \t ", b"\xff\xfe caf\xe9", "a\0b", "🎬🎬", "סרט טוב", "x" * 5000]


def _model(command, task) -> Path:
    return pushed_model.latest_version(command.root / "serving_models", task)


@functools.cache
def _loaded(model):
    return ServedModel(model)


def _signature(model, name):
    return functools.partial(pushed_model.predict, _loaded(model), name)


def _chapters(most):
    return [record.features["text"] for record in records(BIBLE)[:most]]


def _example(text):
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    features = tf.train.Features(feature={"text": value})
    return tf.train.Example(features=features).SerializeToString()


@pytest.mark.parametrize("task", ["bible", "imdb"])
def test_no_function_of_the_graph_is_compiled_by_xla_or_calls_python(task, request):
    model = _model(request.getfixturevalue(task), task)
    proto = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    graph = proto.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    assert len(nodes) > 1000
    compiled = [f for f in (*graph.library.function, *nodes) if "_XlaMustCompile" in f.attr]
    assert not any(f.attr["_XlaMustCompile"].b for f in compiled)
    assert not {node.op for node in nodes} & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


def test_the_graph_contains_no_path_of_this_machine(bible, imdb):
    for command, task in ((bible, "bible"), (imdb, "imdb")):
        proto = (_model(command, task) / "saved_model.pb").read_bytes()
        assert str(command.root).encode() not in proto
        assert str(PROJECT).encode() not in proto


def test_reviews_get_the_same_answer_alone_and_in_any_batch(imdb):
    classify = _signature(_model(imdb, "imdb"), "serving_default")
    texts = [*_chapters(40), "Fine.", *ODD_TEXTS]
    together = classify(text=texts)["probability"]
    alone = [classify(text=[t])["probability"][0] for t in texts]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.all((together > 0) & (together < 1))


def test_serialized_examples_get_the_answer_of_their_text(imdb):
    model = _model(imdb, "imdb")
    texts = ["A fine film.", "A poor film."]
    examples = [_example(text) for text in texts]
    of_text = _signature(model, "serving_default")(text=texts)
    of_examples = _signature(model, "serving_examples")(examples=examples)
    for name in ("label", "probability"):
        assert of_text[name].tolist() == of_examples[name].tolist()


def _trained(command, task):
    """The trained model, its weights found by their hashes, and its function of text to ids."""
    summary = command.summary(task)
    folder = command.root / "runs" / "artifacts" / task
    (graph,) = (folder / "Transform" / "transform_graph").iterdir()
    vocabulary = read_vocabulary(str(graph))
    config = MambaConfig.from_dict(
        summary["config"]["model"] | {"vocabulary_size": len(vocabulary)}
    )
    model = TextClassifier(config, classes=2) if task == "imdb" else NextTokenModel(config)
    exported = tf.train.load_checkpoint(str(_model(command, task) / "variables" / "variables"))
    by_hash = {}
    for name in exported.get_variable_to_shape_map():
        if name.endswith("VARIABLE_VALUE"):
            array = np.ascontiguousarray(exported.get_tensor(name))
            by_hash[hashlib.sha256(array.tobytes()).hexdigest()] = array
    hashes = summary["hashes"]["weights"]
    for variable in model.trainable_variables:
        variable.assign(by_hash[hashes[variable.path.split("/", 1)[1]]])
    to_ids = tft.TFTransformOutput(str(graph)).transform_features_layer()
    return model, lambda text: to_ids({"text": tf.constant([[text]])})["tokens"].to_tensor()


def test_reviews_are_answered_as_the_trained_model_answers(imdb):
    model, to_ids = _trained(imdb, "imdb")
    outputs = _signature(_model(imdb, "imdb"), "serving_default")(text=_chapters(30))
    trained = [tf.nn.softmax(model(to_ids(text)))[0, 1].numpy() for text in _chapters(30)]
    np.testing.assert_allclose(outputs["probability"], trained, atol=1e-5)


def test_chapters_are_scored_as_the_trained_model_scores(bible):
    model, to_ids = _trained(bible, "bible")
    texts = _chapters(10)
    outputs = _signature(_model(bible, "bible"), "score")(text=texts)
    for text, bits in zip(texts, outputs["bits"], strict=True):
        ids = tf.concat([[[START_ID]], to_ids(text), [[LINE_END_ID]]], axis=1)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ids[:, 1:], model(ids[:, :-1]))
        assert bits == pytest.approx(float(tf.reduce_sum(losses)) / np.log(2), rel=1e-5)


def test_classify_gives_classes_and_scores(imdb):
    model = _model(imdb, "imdb")
    proto = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    classify = proto.meta_graphs[0].signature_def["classify"]
    assert classify.method_name == "tensorflow/serving/classify"
    assert set(classify.inputs) == {"inputs"}
    assert set(classify.outputs) == {"classes", "scores"}
    texts = ["A fine film.", "A poor film.", ""]
    examples = [_example(text) for text in texts]
    outputs = _signature(model, "classify")(inputs=examples)
    of_text = _signature(model, "serving_default")(text=texts)
    for name in ("classes", "scores"):
        assert outputs[name].tolist() == of_text[name].tolist()
    np.testing.assert_allclose(outputs["scores"][:, 1], of_text["probability"], atol=1e-6)
    labels = outputs["classes"][range(3), np.argmax(outputs["scores"], axis=1)]
    assert labels.tolist() == of_text["label"].tolist()


def test_documents_score_the_same_alone_and_in_a_batch(bible):
    score = _signature(_model(bible, "bible"), "score")
    texts = [*_chapters(20), *ODD_TEXTS]
    together = score(text=texts)
    for i, text in enumerate(texts):
        alone = score(text=[text])
        np.testing.assert_allclose(together["bits"][i], alone["bits"][0], rtol=1e-4)
        for name in ("characters", "tokens", "correct"):
            assert together[name][i] == alone[name][0]


def test_a_long_document_scores_the_same_as_a_stream_of_parts(bible, tmp_path):
    text = "\n".join(_chapters(12))
    whole = _signature(_model(bible, "bible"), "score")(text=[text])
    file = tmp_path / "long.txt"
    file.write_text(text + "\n", "utf-8")
    assert len(text) > 4 * 8_000
    streamed = json.loads(bible.succeeds("score", "bible", str(file)))
    assert streamed["chars"] == int(whole["characters"][0]) == len(text) + 1
    assert streamed["tokens"] == int(whole["tokens"][0])
    bits = float(whole["bits"][0]) / (len(text) + 1)
    assert streamed["bits_per_char"] == pytest.approx(bits, rel=1e-5)


def test_scoring_needs_nothing_of_tfx(bible, tmp_path):
    file = tmp_path / "chapter.txt"
    file.write_text(_chapters(1)[0], "utf-8")
    program = """
import sys
for name in ("apache_beam", "tensorflow_data_validation", "tensorflow_model_analysis",
             "tensorflow_transform", "tfx", "tfx_bsl", "ml_metadata"):
    sys.modules[name] = None
from pipeline.cli import main
sys.exit(main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", program, "score", "--root", bible.root, "bible", file]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["chars"] > 1000


def test_prompts_get_the_same_continuation_alone_and_in_a_batch(bible):
    generate = _signature(_model(bible, "bible"), "serving_default")
    prompts = ["And God said,", "", "In the beginning", "x" * 300]
    rows = {
        "max_new_tokens": [12, 3, 7, 1],
        "temperature": [0.0, 0.7, 1.2, 0.0],
        "top_k": [0, 5, 50, 1],
        "top_p": [1.0, 0.8, 0.95, 1.0],
        "repetition_penalty": [1.0, 1.3, 1.0, 1.0],
        "seed": [0, 1, 2, 3],
    }
    together = generate(text=prompts, **rows)
    assert together["tokens"].tolist() == rows["max_new_tokens"]
    for i, prompt in enumerate(prompts):
        of_row = {name: [values[i]] for name, values in rows.items()}
        alone = generate(text=[prompt], **of_row)
        assert together["text"][i] == alone["text"][0]
        np.testing.assert_allclose(
            together["log_probability"][i], alone["log_probability"][0], rtol=1e-3
        )


def test_settings_of_generation_have_defaults(bible):
    file = _model(bible, "bible") / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    defaults = proto.meta_graphs[0].signature_def["serving_default"].defaults
    found = {name: tf.make_ndarray(value).tolist() for name, value in defaults.items()}
    assert found == {
        "max_new_tokens": [100],
        "temperature": [np.float32(0.8)],
        "top_k": [50],
        "top_p": [1.0],
        "repetition_penalty": [1.0],
        "seed": [0],
    }


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"max_new_tokens": [0]}, "max_new_tokens"),
        ({"max_new_tokens": [1025]}, "max_new_tokens"),
        ({"temperature": [np.nan]}, "temperature"),
        ({"temperature": [-1.0]}, "temperature"),
        ({"top_k": [-1]}, "top_k"),
        ({"top_p": [1.5]}, "top_p"),
        ({"repetition_penalty": [0.0]}, "repetition_penalty"),
        ({"seed": [1, 2, 3]}, "seed"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(bible, settings, named):
    generate = _signature(_model(bible, "bible"), "serving_default")
    with pytest.raises(UserError, match=f"^{named}: expected"):
        generate(text=["And", "But"], **settings)


@pytest.mark.parametrize("task", ["bible", "imdb"])
def test_a_request_over_a_limit_is_refused_before_it_costs_anything(task, request):
    model = _model(request.getfixturevalue(task), task)
    limits = json.loads((model / "assets.extra" / "limits.json").read_text())
    long = ["x" * (limits["max_text_bytes"] + 1)]
    many = ["x"] * (limits["max_rows"] + 1)
    for name in ("embed", "score" if task == "bible" else "serving_default"):
        signature = _signature(model, name)
        started = time.monotonic()
        with pytest.raises(UserError, match="text: expected at most"):
            signature(text=long)
        with pytest.raises(UserError, match="rows, got"):
            signature(text=many)
        assert time.monotonic() - started < 5
    if task == "bible":
        many = ["x"] * (limits["max_generation_rows"] + 1)
        with pytest.raises(UserError, match="rows, got"):
            _signature(model, "serving_default")(text=many)


@pytest.mark.parametrize("task", ["bible", "imdb"])
def test_an_empty_batch_gives_empty_outputs(task, request):
    model = _model(request.getfixturevalue(task), task)
    for name in ("serving_default", "embed"):
        for output in _signature(model, name)(text=[]).values():
            assert output.shape[0] == 0


def test_similar_reviews_have_closer_embeddings(imdb):
    embed = _signature(_model(imdb, "imdb"), "embed")
    texts = ["A wonderful, moving film.", "A moving, wonderful film!", "Dull, awful rubbish."]
    x = embed(text=texts)["embedding"]
    assert np.linalg.norm(x[0] - x[1]) < np.linalg.norm(x[0] - x[2])


@pytest.mark.parametrize("task", ["bible", "imdb"])
def test_warm_up_requests_cover_every_signature_with_real_texts(task, request):
    model = _model(request.getfixturevalue(task), task)
    file = model / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset([str(file)])
    ]
    loaded = _loaded(model)
    asked, lengths = set(), set()
    for log in logs:
        request_ = (log.classify_log if log.HasField("classify_log") else log.predict_log).request
        assert request_.model_spec.name == task
        name = request_.model_spec.signature_name
        asked.add(name)
        if log.HasField("predict_log"):
            inputs = {k: tf.make_ndarray(v) for k, v in request_.inputs.items()}
            outputs = loaded.predict(name, **inputs)
            assert all(len(output) == 1 for output in outputs.values())
            if name == "embed":
                lengths.add(len(inputs["text"][0]))
    assert asked == set(loaded.signatures)
    assert len(lengths) == 4
