"""Comparison with the published code: transformers' MambaForCausalLM, with random weights.

Its Python lives in an environment of its own (`make peers`); one run of run_transformers.py
there loads our weights, saves its own, and leaves what it makes of both.
"""

import os
import pathlib
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

from mamba_model import (
    MambaConfig,
    NextTokenModel,
    generate,
    load_checkpoint,
    save_checkpoint,
    selective_scan,
)
from mamba_model.backbone import unstack
from mamba_model.checkpoints import variables_by_name

PEERS = pathlib.Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
HERE = pathlib.Path(__file__).parent
VOCABULARY = 72  # of the model that the published code makes
LENGTHS = [31, 7, 20]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEERS.exists(), reason="the published code is not there: make peers"),
]


def run_peers(*arguments, **kwargs):
    offline = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    return subprocess.run(
        [PEERS, *arguments], env=os.environ | offline, check=True, timeout=300, **kwargs
    )


@pytest.fixture(scope="session")
def ours():
    """A model of ours with all weights random."""
    keras.utils.set_random_seed(6)
    model = NextTokenModel(
        MambaConfig(vocabulary_size=70, d_model=12, n_layer=2, d_state=5, d_conv=4, dt_rank=3)
    )
    for variable in model.weights:
        variable.assign_add(0.3 * keras.random.normal(variable.shape))
    return model


@pytest.fixture(scope="session")
def inputs(genesis):
    random = np.random.default_rng(8)

    def normal(*shape):
        return random.normal(size=shape).astype(np.float32)

    b, l, d, n = 2, 43, 7, 5  # noqa: E741
    tokens = genesis[:93].reshape(3, 31) * (np.arange(31) % 5 != 4)  # 0 is an id like another
    return {
        "vocabulary_size": VOCABULARY,
        "tokens": tokens,
        "mask": np.arange(31) < np.array(LENGTHS)[:, None],
        "long": genesis[:2200].reshape(2, 1100),
        "prompts": genesis[7000:7093].reshape(3, 31),
        "lengths": np.array(LENGTHS),
        "scan/u": normal(b, l, d),
        "scan/delta": normal(b, l, d),
        "scan/A": -np.exp(normal(d, n)),
        "scan/B": normal(b, l, n),
        "scan/C": normal(b, l, n),
        "scan/D": normal(d),
        "scan/z": normal(b, l, d),
        "scan/delta_bias": normal(d),
    }


@pytest.fixture(scope="session")
def folder(tmp_path_factory, ours, inputs):
    """The output of run_transformers.py: checkpoints and outputs.npz."""
    folder = tmp_path_factory.mktemp("published")
    np.savez(folder / "inputs.npz", **inputs)
    for layout in ("huggingface", "state-spaces"):
        save_checkpoint(ours, folder / f"ours-{layout}", layout)
    run_peers(HERE / "run_transformers.py", folder)
    return folder


@pytest.fixture(scope="session")
def published(folder):
    with np.load(folder / "outputs.npz") as outputs:
        return dict(outputs)


@pytest.fixture(scope="session")
def model(folder):
    return load_checkpoint(folder / "theirs-huggingface")


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    assert np.abs(theirs).max() > 0.1  # else the tolerance would say little


def test_its_weights_give_its_logits(model, inputs, published):
    assert (inputs["tokens"] == 0).sum() > 10
    assert_close(model(inputs["tokens"]), published["logits"])


def test_its_weights_give_its_logits_over_a_thousand_tokens(model, inputs, published):
    assert_close(tf.function(model)(inputs["long"]), published["long"])


@pytest.mark.parametrize("side", ["right", "left"])
def test_real_positions_have_its_logits_beside_padding(model, inputs, published, side):
    mask = inputs["mask"] if side == "right" else inputs["mask"][:, ::-1]
    logits = model(inputs["tokens"], mask=tf.constant(mask)).numpy()
    assert_close(logits[mask], published[f"padded_{side}"][mask])


def test_every_weight_gets_its_gradient(model, inputs, published):
    with tf.GradientTape() as tape:
        logits = model(inputs["tokens"][:, :-1])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(inputs["tokens"][:, 1:], logits)
        loss = tf.reduce_mean(losses)
    variables = variables_by_name(model, "huggingface")
    assert loss.numpy() == pytest.approx(published["gradient/loss"], rel=1e-5)
    for name, ours in zip(variables, tape.gradient(loss, list(variables.values())), strict=True):
        theirs = published[f"gradient/{name}"]
        ours = tf.convert_to_tensor(ours).numpy()
        if theirs.shape != ours.shape:
            theirs = theirs.squeeze().T
        elif name.endswith("_proj.weight"):
            theirs = theirs.T
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max(), err_msg=name)


def test_token_by_token_it_goes_on_as_the_published_cache_does(model, inputs, published):
    tokens = inputs["tokens"]
    _, state = model(tokens[:, :9], return_state=True)
    step, states, steps = model.stepper(), unstack(state), []
    for t in range(9, tokens.shape[1]):
        logits, states = step(tf.constant(tokens[:, t]), states)
        steps.append(logits)
    assert_close(tf.stack(steps, 1), published["step/logits"])
    conv, ssm = map(tf.stack, zip(*states, strict=True))
    # (n_layer, b, d_conv - 1, d_inner), (n_layer, b, d_state, d_inner)
    taps = conv.shape[2]
    assert_close(tf.transpose(conv, (0, 1, 3, 2)), published["step/conv"][..., -taps:])
    assert_close(tf.transpose(ssm, (0, 1, 3, 2)), published["step/ssm"])


def test_greedy_text_is_its_greedy_text(model, inputs, published):
    new, _ = generate(model, inputs["prompts"], inputs["lengths"], 24, temperature=0.0)
    np.testing.assert_array_equal(new, published["greedy"])
    assert len(np.unique(new)) > 5


@pytest.mark.parametrize("form", ["sharded", "state-spaces"])
def test_the_same_weights_in_another_form_are_the_same_model(folder, model, form):
    copy = load_checkpoint(folder / f"theirs-{form}")
    assert len(list((folder / "theirs-sharded").glob("*.safetensors"))) > 2
    for ours, expected in zip(copy.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, expected, err_msg=ours.path)


def test_weights_stored_in_16_bits_are_widened(folder, inputs, published, model):
    widened = load_checkpoint(folder / "theirs-bfloat16")
    assert {v.dtype for v in widened.weights} == {"float32"}
    assert_close(widened(inputs["tokens"]), published["bfloat16"])
    assert np.abs(published["bfloat16"] - published["logits"]).max() > 1e-3


def test_its_config_is_read_whole(model):
    assert model.config == MambaConfig(
        vocabulary_size=VOCABULARY,
        d_model=20,
        n_layer=3,
        d_state=6,
        d_conv=3,
        expand=3,
        dt_rank=7,
        dt_min=0.002,
        dt_max=0.3,
        dt_init_floor=0.001,
        norm_epsilon=1e-3,
    )


@pytest.mark.slow  # another start of PyTorch
def test_the_command_that_the_error_gives_makes_a_pickle_loadable(folder, model):
    pickled = folder / "theirs-pickle"
    with pytest.raises(FileNotFoundError, match=r"only a pickle.*convert it") as refusal:
        load_checkpoint(pickled)
    command = str(refusal.value).partition('python -c "')[2].rpartition('"')[0]
    run_peers("-c", command, cwd=pickled)
    for ours, expected in zip(load_checkpoint(pickled).weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_our_file_is_all_that_from_pretrained_wants_and_no_more(published):
    assert published["complaints"].tolist() == []


@pytest.mark.parametrize("layout", ["huggingface", "state-spaces"])
def test_our_weights_give_our_logits_in_the_published_code(ours, inputs, published, layout):
    assert inputs["tokens"].max() < 70
    assert_close(ours(inputs["tokens"]), published[f"ours-{layout}"])


def test_the_scan_is_the_published_one_in_value_and_gradient(inputs, published):
    names = ["u", "delta", "A", "B", "C", "D", "z", "delta_bias"]
    x = {name: tf.constant(inputs[f"scan/{name}"]) for name in names}
    with tf.GradientTape() as tape:
        tape.watch(x)
        delta = tf.nn.softplus(x["delta"] + x["delta_bias"])
        y, last_state = selective_scan(
            x["u"], delta, x["A"], x["B"], x["C"], x["D"], x["z"], return_last_state=True
        )
        target = tf.reduce_sum(tf.sin(y)) + tf.reduce_sum(tf.sin(last_state))
    results = {"y": y, "last_state": tf.transpose(last_state, (0, 2, 1))}
    results |= {f"d_{name}": g for name, g in tape.gradient(target, x).items()}
    for name, ours in results.items():
        theirs = published[f"scan/{name}"]
        # float32 against float64
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max(), err_msg=name)
