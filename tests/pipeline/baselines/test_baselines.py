"""Chance and plain models, on real text."""

import lzma

import numpy as np
import pytest
from own_corpora import PARTS, snippets, verses, verses_by_part

from pipeline import baselines


def _split(items):
    return [item for i, item in enumerate(items) if i % 10], items[::10]


def test_words_tell_good_snippets_from_bad_ones():
    train, held_out = _split([(text, int(label)) for text, label in snippets()])
    result = baselines.measure("classification", ("bad", "good"), train, held_out)
    assert result["majority"]["accuracy"] == pytest.approx(0.5, abs=0.02)
    assert result["majority"]["log_loss"] == pytest.approx(np.log(2), abs=1e-3)
    assert 0.74 < result["tfidf_logistic"]["accuracy"] < 0.80
    assert result["tfidf_logistic"]["log_loss"] < 0.55
    assert result["train"] == {
        "texts": 7677,
        "of": 7677,
        "characters": sum(len(t) for t, _ in train),
    }


def test_five_uneven_classes_have_their_own_chance():
    classes = tuple(PARTS)
    verses = [(text, classes.index(part)) for text, part, _ in verses_by_part(every=5)]
    train, held_out = _split(verses)
    result = baselines.measure("classification", classes, train, held_out)
    counts = np.bincount([label for _, label in train])
    majority = result["majority"]
    assert majority["class"] == classes[counts.argmax()] == "history"
    share = np.mean([label == counts.argmax() for _, label in held_out])
    assert majority["accuracy"] == pytest.approx(share)
    assert majority["macro_f1"] == pytest.approx(2 * share / (1 + share) / 5)  # of one class of 5
    assert result["tfidf_logistic"]["accuracy"] > majority["accuracy"] + 0.25


def test_a_class_that_only_the_held_out_texts_have_is_scored_too():
    train, held_out = _split([(text, int(label)) for text, label in snippets()[::8]])
    held_out = [*held_out, ("neither good nor bad", 2)]
    result = baselines.measure("classification", ("bad", "good", "neither"), train, held_out)
    assert np.isfinite(result["tfidf_logistic"]["log_loss"])
    assert np.isfinite(result["majority"]["log_loss"])


def test_a_text_without_spaces_is_told_by_its_characters():
    texts = [("".join(text.split()), part) for text, part, _ in verses_by_part(every=8)]
    classes = tuple(PARTS)
    train, held_out = _split([(text, classes.index(part)) for text, part in texts])
    result = baselines.measure("classification", classes, train, held_out)
    assert result["tfidf_logistic"]["accuracy"] > result["majority"]["accuracy"] + 0.15


def test_one_class_alone_has_no_plain_model():
    train = [(text, 0) for text, _ in snippets()[:50]]
    result = baselines.measure("classification", ("a", "b"), train, train)
    assert result["tfidf_logistic"] is None
    assert result["majority"]["accuracy"] == 1.0


def test_ngrams_need_fewer_bits_than_xz_on_the_king_james_text():
    train, held_out = _split([verse.text for verse in verses()[:12_000]])
    result = baselines.measure("next-token", (), train, held_out[:300])
    assert result["ngrams"]["bits_per_char"] < result["xz"]["bits_per_char"] < 2.2
    assert 1.3 < result["ngrams"]["bits_per_char"] < 2.0
    asked = "\n".join(held_out[:300]).encode()
    known = "\n".join(train).encode()

    def size(data):
        return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))

    bits = 8 * (size(known + b"\n" + asked) - size(known))
    assert result["xz"]["bits_per_char"] == pytest.approx(bits / len(asked.decode()))


def test_more_text_than_the_bound_is_taken_at_even_distances(monkeypatch):
    monkeypatch.setitem(baselines.MOST_CHARACTERS, "next-token", 100_000)
    text = [verse.text for verse in verses()]
    result = baselines.measure("next-token", (), text, text[:20])
    train = result["train"]
    assert train["of"] == len(text) == 31_102
    assert 90_000 < train["characters"] < 110_000
    assert 600 < train["texts"] < 900  # the mean verse has 130 characters


def test_a_longer_text_than_the_bound_is_cut(monkeypatch):
    monkeypatch.setitem(baselines.MOST_CHARACTERS, "next-token", 50_000)
    whole = "\n".join(verse.text for verse in verses()[:2_000])
    result = baselines.measure("next-token", (), [whole], [whole[-5_000:]])
    assert result["train"] == {"texts": 1, "of": 1, "characters": 50_000}


def test_too_little_text_has_no_score():
    assert baselines.measure("next-token", (), ["In the beginning"], ["God"])["xz"] is None
