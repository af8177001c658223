"""Loads and saves published checkpoints: a folder with safetensors and config.json.

    model = load_checkpoint("mamba-130m-hf")
    save_checkpoint(model, "mine", layout="huggingface")

Two layouts, with the same tensor names except for the embedding and the head:

    huggingface    transformers' MambaForCausalLM    backbone.embeddings.weight
    state-spaces   the authors' MambaLMHeadModel     backbone.embedding.weight, lm_head.weight

Published shapes, and shapes in this package:

    *_proj.weight   (out, in)              (in, out)
    conv1d.weight   (d_inner, 1, d_conv)   (d_conv, d_inner)
    all others are the same

The head is tied to the embedding, so lm_head.weight is optional, and must equal the embedding.
16-bit tensors become float32.

Source: state-spaces/mamba, `mixer_seq_simple.py` and `mamba_simple.py`; transformers,
`modeling_mamba.py` and `convert_mamba_ssm_checkpoint_to_pytorch.py`.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save_file

from mamba_model.config import MambaConfig
from mamba_model.models import NextTokenModel
from mamba_model.published_config import from_published, to_published

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
PICKLE = "pytorch_model.bin"
FLOATS = ("BF16", "F16", "F32", "F64")
EMBEDDINGS = {
    "huggingface": "backbone.embeddings.weight",
    "state-spaces": "backbone.embedding.weight",
}
HEAD = "lm_head.weight"


def load_checkpoint(folder: str | os.PathLike, **changes: Any) -> NextTokenModel:
    """Loads the published model in `folder`, in either layout.

    Logits equal those of the published model, for every id. Two conventions of this package
    still hold: `generate` never yields id 0, and `fit` ignores targets of id 0.

    Args:
        folder: holds config.json, and model.safetensors or the shards that
            model.safetensors.index.json lists.
        changes: fields of MambaConfig that no published config has, such as dropout rates.

    Raises:
        FileNotFoundError: if one of these files is missing; says how to convert a pickle.
        ValueError: on an unsupported config, on a tensor that is missing, unexpected, of the
            wrong shape or not float, on a head that is not tied, and on an unreadable file;
            names the file, and the tensor with both shapes.
    """
    folder = Path(folder)
    values = _read_json(folder / CONFIG)
    config, tied = from_published(values, folder / CONFIG)
    config = MambaConfig.from_dict(config.to_dict() | changes)
    with _open_tensors(folder) as tensors:
        original = EMBEDDINGS["state-spaces"] in tensors
        model = NextTokenModel(config)
        variables = variables_by_name(model, "state-spaces" if original else "huggingface")
        _check(tensors, variables, folder, tied)
        for name, variable in variables.items():
            variable.assign(_to_ours(name, tensors[name].read()))
    return model


def save_checkpoint(
    model: NextTokenModel, folder: str | os.PathLike, layout: str = "huggingface"
) -> None:
    """Writes `model` to `folder` as model.safetensors and config.json, in float32.

    Each file is written atomically. Neither layout has fields for dropout rates, so they are
    not written.

    Args:
        layout: "huggingface", which transformers' from_pretrained reads, or "state-spaces",
            whose tensors MambaLMHeadModel.load_state_dict takes.

    Raises:
        ValueError: if there is no such layout, or the layout cannot describe the model.
    """
    if layout not in EMBEDDINGS:
        raise ValueError(f"layout must be one of {sorted(EMBEDDINGS)}, got {layout!r}")
    values = to_published(model.config, layout)
    tensors = {
        # save_file writes an array's memory as it is, so transposed views must be copied.
        name: np.ascontiguousarray(_to_published(name, variable.numpy()), np.float32)
        for name, variable in variables_by_name(model, layout).items()
    }
    if layout == "state-spaces":  # whose load_state_dict requires it
        tensors[HEAD] = tensors[EMBEDDINGS[layout]]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _renamed_when_written(folder / WEIGHTS) as path:
        save_file(tensors, path, metadata={"format": "pt"})  # transformers requires it
    with _renamed_when_written(folder / CONFIG) as path:
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def variables_by_name(model: NextTokenModel, layout: str) -> dict[str, Any]:
    """The model's variables by their published names."""
    backbone = model.backbone
    variables = {EMBEDDINGS[layout]: backbone.embedding.embeddings}
    for i, block in enumerate(backbone.blocks):
        mixer = block.mixer
        of_layer = {
            "norm.weight": block.norm.scale,
            "mixer.in_proj.weight": mixer.in_proj.kernel,
            "mixer.conv1d.weight": mixer.conv_kernel,
            "mixer.conv1d.bias": mixer.conv_bias,
            "mixer.x_proj.weight": mixer.x_proj.kernel,
            "mixer.dt_proj.weight": mixer.dt_proj.kernel,
            "mixer.dt_proj.bias": mixer.dt_proj.bias,
            "mixer.A_log": mixer.A_log,
            "mixer.D": mixer.D,
            "mixer.out_proj.weight": mixer.out_proj.kernel,
        }
        variables |= {f"backbone.layers.{i}.{name}": value for name, value in of_layer.items()}
    variables["backbone.norm_f.weight"] = backbone.norm.scale
    return variables


def _to_published(name: str, array: np.ndarray) -> np.ndarray:
    if name.endswith("conv1d.weight"):
        return array.T[:, None, :]  # (d_conv, d_inner) -> (d_inner, 1, d_conv)
    return array.T if name.endswith("_proj.weight") else array  # (in, out) -> (out, in)


def _to_ours(name: str, array: np.ndarray) -> np.ndarray:
    if name.endswith("conv1d.weight"):
        return array[:, 0, :].T  # (d_inner, 1, d_conv) -> (d_conv, d_inner)
    return array.T if name.endswith("_proj.weight") else array  # (out, in) -> (in, out)


def _published_shape(name: str, shape) -> list[int]:
    return list(_to_published(name, np.broadcast_to(np.float32(0), shape)).shape)


class _Tensor:
    """A tensor in a file, with shape and type known before it is read."""

    def __init__(self, name: str, path: Path, file):
        self.name, self.path, self._file = name, path, file
        part = file.get_slice(name)
        self.shape, self.dtype = list(part.get_shape()), part.get_dtype()

    def read(self) -> np.ndarray:
        # NumPy knows bfloat16, as TensorFlow has imported ml_dtypes.
        return self._file.get_tensor(self.name).astype(np.float32, copy=False)


@contextlib.contextmanager
def _open_tensors(folder: Path) -> Iterator[dict[str, _Tensor]]:
    """All tensors of the checkpoint in `folder`, by name, unread; the files stay open."""
    with contextlib.ExitStack() as stack:

        def tensors(path: Path) -> dict[str, _Tensor]:
            try:
                file = stack.enter_context(safetensors.safe_open(path, framework="np"))
            except safetensors.SafetensorError as error:
                raise ValueError(
                    f"{path}: not a safetensors file, or truncated ({error}). Get it again"
                ) from error
            return {name: _Tensor(name, path, file) for name in file.keys()}  # noqa: SIM118

        if (folder / WEIGHTS).exists():
            yield tensors(folder / WEIGHTS)
        elif (folder / INDEX).exists():
            yield _sharded(folder, tensors)
        else:
            raise FileNotFoundError(_nothing_to_read(folder))


def _sharded(folder: Path, tensors) -> dict[str, _Tensor]:
    """The tensors that the index lists, each from its shard."""
    shard_of = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(shard_of, dict):
        raise ValueError(f'{folder / INDEX}: expected {{"weight_map": {{tensor: file}}}}')
    held = {}
    for shard in sorted(set(shard_of.values())):
        if not (folder / shard).exists():
            raise FileNotFoundError(f"{folder / shard} is missing, although {INDEX} lists it")
        held[shard] = tensors(folder / shard)
    for name, shard in shard_of.items():
        if name not in held[shard]:
            raise ValueError(f"{folder / shard}: has no tensor {name}, although {INDEX} lists it")
    return {name: held[shard][name] for name, shard in shard_of.items()}


def _nothing_to_read(folder: Path) -> str:
    missing = f"{folder}: has neither {WEIGHTS} nor {INDEX}"
    if not any(folder.glob("*.bin")):
        return missing
    return (
        f"{missing}, only a pickle, which is not read, as it can run any code. With PyTorch, "
        f'convert it: python -c "import torch, safetensors.torch as s; '
        f"s.save_file({{k: v.clone() for k, v in "
        f"torch.load('{PICKLE}', weights_only=True).items()}}, '{WEIGHTS}')\""
    )


def _check(
    tensors: Mapping[str, _Tensor], variables: Mapping[str, Any], folder: Path, tied: bool
) -> None:
    """Raises ValueError if names, shapes or types do not fit, or the head is not tied."""
    expected = {name: _published_shape(name, v.shape) for name, v in variables.items()}
    embedding = next(name for name in EMBEDDINGS.values() if name in expected)
    if HEAD in tensors or not tied:
        expected[HEAD] = expected[embedding]
    files = sorted({str(tensor.path) for tensor in tensors.values()}) or [str(folder)]
    where = files[0] if len(files) == 1 else str(folder / INDEX)
    missing = [f"{name} {shape}" for name, shape in expected.items() if name not in tensors]
    if missing:
        raise ValueError(
            f"{where}: no tensor {_some(missing)}, which {CONFIG} requires. "
            f"It has {_some(list(tensors))}"
        )
    unexpected = [f"{name} {t.shape}" for name, t in tensors.items() if name not in expected]
    if unexpected:
        raise ValueError(
            f"{where}: tensor {_some(unexpected)} has no place in the model of {CONFIG}"
        )
    for name, shape in expected.items():
        tensor = tensors[name]
        if tensor.shape != shape:
            raise ValueError(
                f"{tensor.path}: {name} must have shape {shape} by {CONFIG}, got {tensor.shape}"
            )
        if tensor.dtype not in FLOATS:
            raise ValueError(
                f"{tensor.path}: {name} must be one of {', '.join(FLOATS)}, got {tensor.dtype}"
            )
    if HEAD in tensors and not np.array_equal(tensors[HEAD].read(), tensors[embedding].read()):
        raise ValueError(
            f"{tensors[HEAD].path}: {HEAD} differs from {embedding}. The head of NextTokenModel "
            "is tied to the embedding, so a checkpoint with a different head cannot be loaded"
        )


def _some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: a checkpoint is a folder with {CONFIG}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected a JSON object, got {str(values)[:40]!r}")
    return values


@contextlib.contextmanager
def _renamed_when_written(path: Path) -> Iterator[Path]:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # save_file makes the file readable only by its owner
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
