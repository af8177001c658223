import keras
import numpy as np
import pytest
import tensorflow as tf

from mamba_model import MambaConfig, NextTokenModel, generate


@pytest.fixture(scope="module")
def model():
    """An untrained model with large weights, so that its choices vary."""
    keras.utils.set_random_seed(4)
    model = NextTokenModel(MambaConfig(vocabulary_size=70, d_model=20, n_layer=2, d_state=6))
    for block in model.backbone.blocks:
        block.mixer.out_proj.kernel.assign(30 * block.mixer.out_proj.kernel)
    embedding = model.backbone.embedding.embeddings
    embedding.assign(10 * embedding)
    return model


@pytest.fixture
def prompts(genesis):
    lengths = [13, 1, 6]
    tokens = np.zeros((3, 13), np.int32)
    for row, length in enumerate(lengths):
        tokens[row, :length] = genesis[7000 + 50 * row :][:length]
    return tokens, lengths


def test_greedy_is_the_argmax_of_the_whole_text_run_again_for_each_token(model, prompts):
    tokens, lengths = prompts
    new, log_probabilities = generate(model, tokens, lengths, 12, temperature=0.0)
    for row, length in enumerate(lengths):
        text = list(tokens[row, :length])
        for i in range(12):
            log_p = tf.nn.log_softmax(model(np.array([text]))[0, -1]).numpy()
            assert new[row, i] == 1 + np.argmax(log_p[1:])
            assert log_probabilities[row, i].numpy() == pytest.approx(log_p[new[row, i]], abs=1e-4)
            text.append(int(new[row, i]))
    assert len(np.unique(new)) > 3


SETTINGS = {"temperature": 1.3, "top_k": 40, "top_p": 0.95, "min_p": 0.01,
            "repetition_penalty": 1.2}  # fmt: skip


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {}, SETTINGS])
def test_a_prompt_gives_in_a_batch_what_it_gives_alone(model, prompts, settings):
    tokens, lengths = prompts
    seeds = [5, 6, 5]
    together, log_p = generate(model, tokens, lengths, 12, seed=seeds, **settings)
    for row, length in enumerate(lengths):
        alone, log_p_alone = generate(
            model, tokens[row : row + 1, :length], [length], 12, seed=seeds[row], **settings
        )
        np.testing.assert_array_equal(together[row], alone[0])
        np.testing.assert_allclose(log_p[row], log_p_alone[0], atol=1e-4)


def test_each_row_may_have_settings_of_its_own(model, prompts):
    tokens, lengths = prompts
    rows = {
        "max_new_tokens": [9, 14, 1],
        "temperature": [0.0, 1.3, 0.8],
        "top_k": [0, 7, 40],
        "top_p": [1.0, 0.9, 0.5],
        "min_p": [0.0, 0.02, 0.0],
        "repetition_penalty": [1.0, 1.3, 1.0],
        "seed": [1, 2, 3],
    }
    sample = tf.function(generate, autograph=False)
    in_graph = {name: tf.constant(values) for name, values in rows.items()}
    for settings in (rows, in_graph):
        together, log_p = sample(model, tokens, lengths, **settings)
        assert together.shape == (3, 14)
        for row, length in enumerate(lengths):
            of_row = {name: values[row] for name, values in rows.items()}
            alone, log_p_alone = generate(model, tokens[row : row + 1, :length], [length], **of_row)
            n = of_row["max_new_tokens"]
            np.testing.assert_array_equal(together[row, :n], alone[0])
            np.testing.assert_allclose(log_p[row, :n], log_p_alone[0], atol=1e-4)
            assert not np.any(together[row, n:])
            assert not np.any(log_p[row, n:])


def test_same_seed_same_text_and_another_seed_another(model, genesis):
    same_prompts = np.tile(genesis[None, :9], (4, 1))
    new, _ = generate(model, same_prompts, [9] * 4, 30, seed=[3, 3, 4, 5])
    again, _ = generate(model, same_prompts, [9] * 4, 15, seed=[3, 3, 4, 5])
    np.testing.assert_array_equal(new[:, :15], again)
    np.testing.assert_array_equal(new[0], new[1])
    assert len({tuple(row) for row in new.numpy()}) == 3


def test_sampling_follows_the_models_distribution(model, genesis):
    n = 4000
    prompts = np.tile(genesis[None, 100:110], (n, 1))
    sample = tf.function(generate, autograph=False)
    new, _ = sample(model, prompts, np.full(n, 10), 1, temperature=0.7, seed=np.arange(n))
    p = tf.nn.softmax(model(prompts[:1])[0, -1, 1:] / 0.7).numpy()  # id 0 is never drawn
    counts = np.bincount(new[:, 0], minlength=70)
    assert counts[0] == 0
    chi_square = np.sum((counts[1:] - n * p) ** 2 / (n * p))
    assert chi_square < 111.1  # 99.9% of 68 degrees of freedom lie below


def test_filters_draw_from_the_tokens_that_they_keep(model, genesis):
    """On the model's own logits, after the penalty for the prompt's tokens."""
    n, prompt = 2000, genesis[100:110]
    s = model(prompt[None])[0, -1].numpy().astype(np.float64)
    s[prompt] = np.where(s[prompt] < 0, s[prompt] * 1.2, s[prompt] / 1.2)
    p = np.exp(s[1:] / 0.9)
    p = np.sort(p)[::-1][:20] / np.sort(p)[::-1][:20].sum()
    n_kept = np.sum((np.cumsum(p) - p < 0.8) & (p >= 0.2 * p[0]))
    assert 2 < n_kept < np.sum(np.cumsum(p) - p < 0.8) < 20
    sample = tf.function(generate, autograph=False)
    new, _ = sample(
        model, np.tile(prompt, (n, 1)), np.full(n, 10), 1, seed=np.arange(n),
        temperature=0.9, top_k=20, top_p=0.8, min_p=0.2, repetition_penalty=1.2,
    )  # fmt: skip
    assert set(new[:, 0].numpy()) == set(np.argsort(-s[1:])[:n_kept] + 1)


def test_top_k_of_one_is_greedy(model, prompts):
    greedy, _ = generate(model, *prompts, 9, temperature=0.0)
    one, _ = generate(model, *prompts, 9, temperature=2.0, top_k=1)
    np.testing.assert_array_equal(one, greedy)


@pytest.mark.slow
def test_penalty_counts_the_tokens_of_the_prompt_and_of_the_text_so_far(model, prompts):
    tokens, lengths = prompts
    new, _ = generate(model, tokens, lengths, 7, temperature=0.0, repetition_penalty=1.5)
    for row, length in enumerate(lengths):
        text = list(tokens[row, :length])
        for i in range(7):
            s = model(np.array([text]))[0, -1].numpy()
            seen = np.unique(text)
            s[seen] = np.where(s[seen] < 0, s[seen] * 1.5, s[seen] / 1.5)
            assert new[row, i] == 1 + np.argmax(s[1:])
            text.append(int(new[row, i]))


def test_a_row_ends_at_the_stop_token_and_others_go_on(model, prompts):
    free, _ = generate(model, *prompts, 25, seed=1)
    stop = int(free[0, 10])
    new, log_probabilities = generate(model, *prompts, 25, seed=1, stop_token=stop)
    for row in range(3):
        hits = np.flatnonzero(free[row].numpy() == stop)
        end = hits[0] + 1 if len(hits) else 25
        np.testing.assert_array_equal(new[row, :end], free[row, :end])
        assert not new[row, end:].numpy().any() and not log_probabilities[row, end:].numpy().any()


@pytest.mark.slow
def test_it_is_one_graph_with_every_setting_an_input(model, prompts, tmp_path):
    kinds = {"max_new_tokens": tf.int32, "temperature": tf.float32, "top_k": tf.int32,
             "top_p": tf.float32, "min_p": tf.float32, "repetition_penalty": tf.float32,
             "seed": tf.int32, "stop_token": tf.int32}  # fmt: skip

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.int32),
            {name: tf.TensorSpec((), dtype, name=name) for name, dtype in kinds.items()},
        ]
    )
    def signature(prompts, lengths, settings):
        new, log_probabilities = generate(model, prompts, lengths, **settings)
        return {"tokens": new, "log_probabilities": log_probabilities}

    tf.saved_model.save(model, str(tmp_path), signatures=signature)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    tokens, lengths = (tf.constant(x, tf.int32) for x in prompts)
    for values in [
        (7, 0.0, 0, 1.0, 0.0, 1.0, 0, -1),
        (9, 0.8, 0, 1.0, 0.0, 1.0, 8, -1),
        (11, 0.8, 25, 0.9, 0.02, 1.3, 9, 5),
    ]:
        settings = dict(zip(kinds, values, strict=True))
        inputs = {name: tf.constant(value, kinds[name]) for name, value in settings.items()}
        out = loaded(prompts=tokens, lengths=lengths, **inputs)
        expected, _ = generate(model, tokens, lengths, **settings)
        np.testing.assert_array_equal(out["tokens"], expected)


@pytest.mark.slow
def test_compiled_with_xla_it_gives_the_same_text(genesis):
    """Except for sampling, as XLA draws other random numbers."""
    keras.utils.set_random_seed(6)
    model = NextTokenModel(MambaConfig(vocabulary_size=70, d_model=20, n_layer=1, d_state=6))
    compiled = tf.function(generate, jit_compile=True, autograph=False)
    prompts, lengths = genesis[: 3 * 8].reshape(3, 8), [8, 3, 5]
    settings = {"top_k": 9, "top_p": 0.7, "min_p": 0.1, "repetition_penalty": 1.4}
    greedy = dict(settings, temperature=0.0)
    ours, log_p = compiled(model, prompts, lengths, 6, **greedy)
    expected, expected_log_p = generate(model, prompts, lengths, 6, **greedy)
    np.testing.assert_array_equal(ours, expected)
    np.testing.assert_allclose(log_p, expected_log_p, atol=1e-4)
    n = 300
    prompts = np.tile(prompts[:1], (n, 1))
    drawn = compiled(model, prompts, [8] * n, 1, seed=tf.range(n), **settings)[0].numpy()
    plain = tf.function(generate, autograph=False)
    expected = plain(model, prompts, [8] * n, 1, seed=tf.range(n), **settings)[0].numpy()
    assert set(drawn[:, 0]) == set(expected[:, 0]) and len(set(drawn[:, 0])) > 2


def test_nothing_of_the_prompts_length_is_carried_from_token_to_token(model):
    graph = tf.function(generate, autograph=False).get_concrete_function(
        model, tf.ones((2, 97), tf.int32), [97, 97], tf.constant(5), repetition_penalty=1.1
    )
    (loop,) = (
        node
        for node in graph.graph.get_operations()
        if node.type in ("While", "StatelessWhile") and "backbone" not in node.name
    )
    shapes = [tuple(tensor.shape) for tensor in loop.inputs]
    assert (2, 6, 40) in shapes  # a block's state
    assert not any(97 in shape for shape in shapes)


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("max_new_tokens", 0, "at least 1"),
        ("temperature", -0.1, "at least 0"),
        ("top_k", -1, "at least 0"),
        ("top_p", 1.1, r"in \[0, 1\]"),
        ("min_p", -0.5, r"in \[0, 1\]"),
        ("repetition_penalty", 0.0, "above 0"),
    ],
)
def test_a_setting_outside_its_range_is_refused(model, prompts, setting, value, rule):
    settings = {"max_new_tokens": 3, setting: value}
    with pytest.raises(ValueError, match=f"generate: {setting} must be {rule}, got {value}"):
        generate(model, *prompts, **settings)
