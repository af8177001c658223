"""The model card's words: its example can be run, and chance is named."""

import json
import shlex

import pytest

from pipeline.report import model_card

EXAMPLE = """Don't pay "twice" for this."""


def _card(**parts):
    return {
        "title": "A Mamba model: tickets",
        "description": "It sorts tickets.",
        "classes": ["billing", "delivery", "other"],
        "intended_use": ["sorting tickets"],
        "not_intended_use": [],
        "weaknesses": [],
        "example": model_card.example_request("tickets", EXAMPLE),
        "data": {"source": "csv", "sha256": "ab", "examples": {"train": 9000}, "licence": "ours"},
        "hashes": {"code": "cd"},
        "versions": {"keras": "3"},
        "training": {"preset": "quick", "seed": 1},
        "metrics": {
            "accuracy": 0.9,
            "intervals": {"accuracy": [0.88, 0.92]},
            "slices": {},
            "classes": {"billing": {"precision": 0.5, "recall": 0.25, "f1": 1 / 3}},
        },
        "chance": {"class": "other", "accuracy": 0.6},
        "serving": {"signatures": {"serving_default": ["text"]}, "limits": {"max_rows": 4096}},
        **parts,
    }


def test_the_example_is_a_command_that_sends_the_text():
    command = shlex.split(model_card.example_request("tickets", EXAMPLE))
    assert command[:2] == ["curl", "-d"]
    assert json.loads(command[2]) == {"instances": [{"text": EXAMPLE}]}
    assert command[3] == "http://localhost:8501/v1/models/tickets:predict"


def test_the_card_names_classes_chance_and_what_is_not_written_down():
    card = model_card.as_markdown(_card())
    assert "Classes: billing, delivery, other." in card
    assert "Always answering `other`, the most frequent class of split `train`" in card
    assert "accuracy 0.6." in card
    assert "| billing | 0.5         | 0.25     | 0.3333 | nan   |" in card
    assert "Not for:\n\n- not written down yet: see [about] in the task's task.toml" in card


def test_a_next_token_models_card_has_neither_classes_nor_chance():
    metrics = {"bits_per_char": 1.5, "intervals": {}, "slices": {}}
    card = model_card.as_markdown(_card(classes=[], chance=None, metrics=metrics))
    assert "Classes" not in card
    assert "Always answering" not in card


def test_chance_is_the_share_of_the_most_frequent_training_class():
    facts = {
        "train": {"values": {"label": {"0": 10, "1": 90}}},
        "eval": {"values": {"label": {"0": 30, "1": 20}}},
        "test": {},
    }
    classes = ["no", "yes"]
    assert model_card.chance({"facts": facts}, classes) == {"class": "yes", "accuracy": 0.4}
    assert model_card.chance({"facts": facts}, []) is None
    assert model_card.chance({"facts": {"train": {}, "eval": {}}}, classes) is None
    assert model_card.chance({"facts": facts | {"eval": {}}}, classes) is None


@pytest.mark.parametrize("text", ["it's", 'a "b"', "größer\n$HOME `x`"])
def test_any_example_survives_the_shell(text):
    *_, body, _ = shlex.split(model_card.example_request("a", text))
    assert json.loads(body)["instances"][0]["text"] == text
