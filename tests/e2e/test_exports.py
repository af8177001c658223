"""The pushed models, asked as a server would ask them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from command_line import PROJECT
from tensorflow.core.protobuf import saved_model_pb2

from data import bible as bible_reader
from data.records import Record
from pipeline import pushed_model

pytestmark = pytest.mark.slow

ODD_TEXTS = ["", " \t ", b"\xff\xfe caf\xe9", "a\0b", "🎬🎬", "סרט טוב", "x" * 5000]


def _model(command, task) -> Path:
    return pushed_model.latest_version(command.root / "serving_models", task)


def _chapters(most):
    source = bible_reader.open_source(None)
    items = bible_reader.read_shard(source, source.shards[0], 10**6)
    return [item.features["text"] for item in items if isinstance(item, Record)][:most]


def _bytes(text):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))


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


def test_reviews_get_the_same_answer_alone_and_in_any_batch(imdb):
    classify = pushed_model.signature(_model(imdb, "imdb"), "serving_default")
    texts = [*_chapters(40), "Fine.", *ODD_TEXTS]
    together = classify(text=tf.constant(texts))["probability"].numpy()
    alone = [classify(text=tf.constant([t]))["probability"].numpy()[0] for t in texts]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.all((together > 0) & (together < 1))


def test_serialized_examples_get_the_answer_of_their_text(imdb):
    model = _model(imdb, "imdb")
    texts = ["A fine film.", "A poor film."]
    examples = [
        tf.train.Example(
            features=tf.train.Features(feature={"text": _bytes(t)})
        ).SerializeToString()
        for t in texts
    ]
    of_text = pushed_model.signature(model, "serving_default")(text=tf.constant(texts))
    of_examples = pushed_model.signature(model, "serving_examples")(examples=tf.constant(examples))
    for name in ("label", "probability"):
        assert of_text[name].numpy().tolist() == of_examples[name].numpy().tolist()


def test_documents_score_the_same_alone_and_in_a_batch(bible):
    score = pushed_model.signature(_model(bible, "bible"), "score")
    texts = [*_chapters(20), *ODD_TEXTS]
    together = score(text=tf.constant(texts))
    for i, text in enumerate(texts):
        alone = score(text=tf.constant([text]))
        np.testing.assert_allclose(together["bits"][i], alone["bits"][0], rtol=1e-4)
        for name in ("characters", "tokens", "correct"):
            assert together[name][i] == alone[name][0]


def test_a_long_document_scores_the_same_as_a_stream_of_parts(bible, tmp_path):
    text = "\n".join(_chapters(12))
    whole = pushed_model.signature(_model(bible, "bible"), "score")(text=tf.constant([text]))
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
