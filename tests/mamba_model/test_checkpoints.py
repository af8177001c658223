import json

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mamba_model import MambaConfig, NextTokenModel, load_checkpoint, save_checkpoint

# Of the tests' config: vocabulary 70, d_model 12, d_inner 24, d_state 5, d_conv 4, dt_rank 3.
OF_A_LAYER = {
    "norm.weight": (12,),
    "mixer.A_log": (24, 5),
    "mixer.D": (24,),
    "mixer.in_proj.weight": (48, 12),
    "mixer.conv1d.weight": (24, 1, 4),
    "mixer.conv1d.bias": (24,),
    "mixer.x_proj.weight": (13, 24),
    "mixer.dt_proj.weight": (24, 3),
    "mixer.dt_proj.bias": (24,),
    "mixer.out_proj.weight": (12, 24),
}
OF_BOTH_LAYERS = {
    f"backbone.layers.{i}.{name}": shape for i in (0, 1) for name, shape in OF_A_LAYER.items()
} | {"backbone.norm_f.weight": (12,)}
PUBLISHED = {
    "huggingface": OF_BOTH_LAYERS | {"backbone.embeddings.weight": (70, 12)},
    "state-spaces": OF_BOTH_LAYERS
    | {"backbone.embedding.weight": (70, 12), "lm_head.weight": (70, 12)},
}
LAYOUTS = sorted(PUBLISHED)


@pytest.fixture
def model(config):
    """Every weight random: no two of them are alike."""
    keras.utils.set_random_seed(9)
    model = NextTokenModel(config)
    for variable in model.weights:
        variable.assign(keras.random.normal(variable.shape))
    return model


@pytest.fixture
def folder(model, tmp_path):
    save_checkpoint(model, tmp_path / "saved")
    return tmp_path / "saved"


def rewrite(folder, change):
    """Passes the tensors that lie in `folder` through `change`, which may edit them."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def reconfigure(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def assert_same_weights(ours, expected):
    for a, b in zip(ours.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_holds_the_published_names_and_shapes(model, tmp_path, layout):
    save_checkpoint(model, tmp_path, layout)
    tensors = load_file(tmp_path / "model.safetensors")
    assert {name: array.shape for name, array in tensors.items()} == PUBLISHED[layout]
    assert {array.dtype.name for array in tensors.values()} == {"float32"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_was_saved_comes_back_equal(model, tmp_path, genesis, layout):
    save_checkpoint(model, tmp_path, layout)
    copy = load_checkpoint(tmp_path)
    assert copy.config == model.config
    assert_same_weights(copy, model)
    tokens = genesis[:40].reshape(2, 20)
    np.testing.assert_array_equal(copy(tokens), model(tokens))


def test_saving_again_replaces_and_leaves_nothing_else(model, folder):
    model.backbone.norm.scale.assign(7 + model.backbone.norm.scale)
    save_checkpoint(model, folder)
    assert_same_weights(load_checkpoint(folder), model)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_both_files_may_be_read_by_whoever_may_read_a_new_file(folder):
    (folder / "new").touch()
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert len(modes) == 1


def test_a_save_that_fails_leaves_the_old_file_whole(model, folder, monkeypatch):
    import mamba_model.checkpoints as checkpoints

    def full_disk(tensors, path, metadata):
        path.write_bytes(b"half a file")
        raise OSError("no space left on device")

    before = (folder / "model.safetensors").read_bytes()
    monkeypatch.setattr(checkpoints, "save_file", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(model, folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert len(list(folder.iterdir())) == 2


def test_shards_are_found_through_their_index(model, folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shard_of = {name: f"part-{i % 3}.safetensors" for i, name in enumerate(names)}
    for shard in set(shard_of.values()):
        save_file({n: tensors[n] for n in names if shard_of[n] == shard}, folder / shard)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": shard_of}))
    assert_same_weights(load_checkpoint(folder), model)

    moved = shard_of | {names[0]: shard_of[names[1]]}
    index.write_text(json.dumps({"weight_map": moved}))
    with pytest.raises(ValueError, match=rf"part-1.*: has no tensor {names[0]}, although model"):
        load_checkpoint(folder)
    (folder / "part-2.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"part-2\.safetensors is missing, although model"):
        load_checkpoint(folder)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(model, folder, dtype):
    rewrite(folder, lambda tensors: tensors.update({k: dtype(v) for k, v in tensors.items()}))
    for ours, stored in zip(load_checkpoint(folder).weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, np.float32(dtype(stored.numpy())))


def test_dropout_rates_are_given_when_loading(folder):
    assert load_checkpoint(folder, residual_dropout=0.2).config.residual_dropout == 0.2
    with pytest.raises(ValueError, match="no field"):
        load_checkpoint(folder, dropout=0.2)


def test_a_missing_tensor_is_named_with_its_shape(folder):
    rewrite(folder, lambda tensors: tensors.pop("backbone.layers.1.mixer.x_proj.weight"))
    with pytest.raises(
        ValueError,
        match=r"model\.safetensors: no tensor backbone\.layers\.1\.mixer\.x_proj\.weight "
        r"\[13, 24\], which config\.json requires\. It has backbone.* more",
    ):
        load_checkpoint(folder)


def test_a_tensor_that_fits_nowhere_is_named(folder):
    rewrite(folder, lambda tensors: tensors.update({"backbone.layers.2.mixer.D": np.ones(24)}))
    with pytest.raises(
        ValueError,
        match=r"model\.safetensors: tensor backbone\.layers\.2\.mixer\.D \[24\] has no place",
    ):
        load_checkpoint(folder)


def test_a_tensor_of_another_shape_is_named_with_both(folder):
    name = "backbone.layers.0.mixer.dt_proj.weight"
    rewrite(folder, lambda tensors: tensors.update({name: tensors[name].T.copy()}))
    with pytest.raises(
        ValueError,
        match=r"model\.safetensors: backbone\.layers\.0\.mixer\.dt_proj\.weight must have shape "
        r"\[24, 3\] by config\.json, got \[3, 24\]",
    ):
        load_checkpoint(folder)


def test_a_tensor_that_is_no_float_is_named(folder):
    name = "backbone.layers.0.mixer.D"
    rewrite(folder, lambda tensors: tensors.update({name: np.ones(24, np.int8)}))
    with pytest.raises(ValueError, match=r"layers\.0\.mixer\.D must be one of BF16.*, got I8"):
        load_checkpoint(folder)


def test_a_head_of_its_own_is_refused_and_a_tied_one_read(model, folder):
    table = model.backbone.embedding.embeddings.numpy()
    reconfigure(folder, tie_word_embeddings=False)
    with pytest.raises(ValueError, match=r"no tensor lm_head\.weight \[70, 12\]"):
        load_checkpoint(folder)
    rewrite(folder, lambda tensors: tensors.update({"lm_head.weight": table}))
    assert_same_weights(load_checkpoint(folder), model)
    rewrite(folder, lambda tensors: tensors.update({"lm_head.weight": table + 1}))
    with pytest.raises(ValueError, match=r"lm_head\.weight differs from backbone\.embeddings"):
        load_checkpoint(folder)


def test_a_file_cut_short_is_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model\.safetensors: not a safetensors file, or trunc"):
        load_checkpoint(folder)


def test_what_is_not_there_is_said(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"saved: has neither model\.safetensors nor"):
        load_checkpoint(folder)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"config\.json: expected a JSON object, got '\[1\]'"):
        load_checkpoint(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json: not JSON"):
        load_checkpoint(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing: a checkpoint is"):
        load_checkpoint(folder)


def test_an_unknown_layout_is_refused_before_anything_is_written(model, tmp_path):
    with pytest.raises(ValueError, match=r"one of \['huggingface', 'state-spaces'\], got 'hf'"):
        save_checkpoint(model, tmp_path / "new", "hf")
    epsilon = NextTokenModel(MambaConfig(vocabulary_size=9, d_model=4, norm_epsilon=1e-6))
    with pytest.raises(ValueError, match=r"no field for norm_epsilon.*Save it in the huggingface"):
        save_checkpoint(epsilon, tmp_path / "new", "state-spaces")
    assert not (tmp_path / "new").exists()
