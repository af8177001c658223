import keras
import numpy as np
import pytest
import tensorflow as tf

from mamba_model import MambaConfig, NextTokenModel, generate


@pytest.fixture(scope="module")
def model():
    """Its weights are made wide, so that without training its choices are not all alike."""
    keras.utils.set_random_seed(4)
    model = NextTokenModel(MambaConfig(vocabulary_size=70, d_model=20, n_layer=2, d_state=6))
    for block in model.backbone.blocks:
        block.mixer.out_proj.kernel.assign(30 * block.mixer.out_proj.kernel)
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


def test_a_prompt_gives_in_a_batch_what_it_gives_alone(model, prompts):
    tokens, lengths = prompts
    together, _ = generate(model, tokens, lengths, 20, temperature=0.0)
    for row, length in enumerate(lengths):
        alone, _ = generate(model, tokens[row : row + 1, :length], [length], 20, temperature=0.0)
        np.testing.assert_array_equal(together[row], alone[0])


def test_same_seed_same_text_and_another_seed_another(model, prompts):
    first, second, other = (generate(model, *prompts, 30, seed=s)[0].numpy() for s in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    assert len({tuple(row) for row in first}) == 3


def test_sampling_follows_the_models_distribution(model, genesis):
    prompts = np.tile(genesis[None, 100:110], (4000, 1))
    new, _ = generate(model, prompts, np.full(4000, 10), 1, temperature=1.0, seed=1)
    share = np.bincount(new[:, 0], minlength=70) / 4000
    expected = tf.nn.softmax(model(prompts[:1])[0, -1]).numpy()
    assert np.abs(share - expected).max() < 0.03  # four standard deviations


def test_top_k_takes_one_of_the_k_likeliest(model, prompts):
    tokens, lengths = prompts
    new, _ = generate(model, np.repeat(tokens[:1], 500, 0), [13] * 500, 1, temperature=3.0, top_k=3)
    likeliest = np.argsort(-model(tokens[:1])[0, -1].numpy()[1:])[:3] + 1
    assert set(new[:, 0].numpy()) == set(likeliest)
    greedy, _ = generate(model, tokens, lengths, 9, temperature=0.0)
    one, _ = generate(model, tokens, lengths, 9, temperature=2.0, top_k=1)
    np.testing.assert_array_equal(one, greedy)


def test_a_row_ends_at_the_stop_token_and_others_go_on(model, prompts):
    free, _ = generate(model, *prompts, 25, seed=1)
    stop = int(free[0, 10])
    new, log_probabilities = generate(model, *prompts, 25, seed=1, stop_token=stop)
    for row in range(3):
        hits = np.flatnonzero(free[row].numpy() == stop)
        end = hits[0] + 1 if len(hits) else 25
        np.testing.assert_array_equal(new[row, :end], free[row, :end])
        assert not new[row, end:].numpy().any() and not log_probabilities[row, end:].numpy().any()


def test_it_is_one_graph_with_every_setting_an_input(model, prompts, tmp_path):
    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec((), tf.float32),
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec((), tf.int32),
        ]
    )
    def signature(prompts, lengths, max_new_tokens, temperature, top_k, seed):
        new, log_probabilities = generate(
            model, prompts, lengths, max_new_tokens, temperature=temperature, top_k=top_k, seed=seed
        )
        return {"tokens": new, "log_probabilities": log_probabilities}

    tf.saved_model.save(model, str(tmp_path), signatures=signature)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    tokens, lengths = (tf.constant(x, tf.int32) for x in prompts)
    for count, temperature, top_k, seed in [(7, 0.0, 0, 0), (11, 0.8, 5, 9)]:
        out = loaded(
            prompts=tokens,
            lengths=lengths,
            max_new_tokens=tf.constant(count),
            temperature=tf.constant(temperature),
            top_k=tf.constant(top_k),
            seed=tf.constant(seed),
        )
        expected, _ = generate(
            model, tokens, lengths, count, temperature=temperature, top_k=top_k, seed=seed
        )
        np.testing.assert_array_equal(out["tokens"], expected)
