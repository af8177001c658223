"""Conversion between MambaConfig and the two published kinds of config.json.

    huggingface    {"model_type": "mamba", "hidden_size": 768, "state_size": 16, ...}
    state-spaces   {"d_model": 768, "n_layer": 24, "ssm_cfg": {...}, ...}

Fields about the start of training (initializer ranges, `time_step_scale`,
`rescale_prenorm_residual`) and the precision of sums (`residual_in_fp32`) change no logit of a
loaded model in float32, so they are ignored. Fields that change the model in a way that this
package does not support raise an error.
"""

import dataclasses
from collections.abc import Mapping
from os import PathLike
from typing import Any

from mamba_model.config import MambaConfig

# Field of MambaConfig: (its name in the file, its default if the file lacks it).
# None: the file must have it.
HUGGINGFACE = {
    "vocabulary_size": ("vocab_size", None),
    "d_model": ("hidden_size", None),
    "n_layer": ("num_hidden_layers", None),
    "d_state": ("state_size", 16),
    "d_conv": ("conv_kernel", 4),
    "expand": ("expand", 2),
    "dt_rank": ("time_step_rank", "auto"),
    "dt_min": ("time_step_min", 1e-3),
    "dt_max": ("time_step_max", 0.1),
    "dt_init_floor": ("time_step_floor", 1e-4),
    "norm_epsilon": ("layer_norm_epsilon", 1e-5),
}
STATE_SPACES = {
    "vocabulary_size": ("vocab_size", None),
    "d_model": ("d_model", None),
    "n_layer": ("n_layer", None),
    "norm_epsilon": ("norm_epsilon", 1e-5),
}
SSM_CFG = {
    "d_state": ("d_state", 16),
    "d_conv": ("d_conv", 4),
    "expand": ("expand", 2),
    "dt_rank": ("dt_rank", "auto"),
    "dt_min": ("dt_min", 1e-3),
    "dt_max": ("dt_max", 0.1),
    "dt_init_floor": ("dt_init_floor", 1e-4),
}

# The supported values of fields; a missing field is supported too.
HUGGINGFACE_ONLY = {
    "model_type": ("mamba",),
    "use_bias": (False,),
    "use_conv_bias": (True,),
    "hidden_act": ("silu", "swish"),
    "rms_norm": (True,),
}
STATE_SPACES_ONLY = {
    "rms_norm": (True,),
    "bidirectional": (False,),
    "d_intermediate": (0,),
    "attn_layer_idx": ([],),
}
SSM_CFG_ONLY = {"layer": ("Mamba1",), "bias": (False,), "conv_bias": (True,)}
SSM_CFG_PASSED_OVER = {"dt_init", "dt_scale", "use_fast_path"}


def from_published(
    values: Mapping[str, Any], where: str | PathLike = "config.json"
) -> tuple[MambaConfig, bool]:
    """Reads a published config of either kind; returns it, and whether its head is tied.

    The converted files of the authors' models have both kinds of names; then the huggingface
    names count. A state-spaces vocabulary is rounded up to a multiple of
    `pad_vocab_size_multiple`, as its embedding is.

    Raises:
        ValueError: on a missing size or an unsupported value; names `where`, the key, its
            value and what was expected.
    """
    if "hidden_size" in values:
        _require(values, HUGGINGFACE_ONLY, where)
        config = _config(_fields(values, HUGGINGFACE, where), where)
        _require(values, {"intermediate_size": (config.d_inner,)}, where)
        return config, values.get("tie_word_embeddings", True)
    if "d_model" not in values:
        raise ValueError(
            f"{where}: has neither hidden_size (as transformers writes) nor d_model (as "
            f"mamba_ssm does), so it is not the config of a Mamba. It has {sorted(values)}"
        )
    _require(values, STATE_SPACES_ONLY, where)
    ssm_cfg = values.get("ssm_cfg") or {}
    inside = f"{where}: ssm_cfg"
    _require(ssm_cfg, SSM_CFG_ONLY, inside)
    unknown = set(ssm_cfg) - set(SSM_CFG) - set(SSM_CFG_ONLY) - SSM_CFG_PASSED_OVER
    if unknown:
        raise ValueError(f"{inside} has {sorted(unknown)}, which this package does not support")
    fields = _fields(values, STATE_SPACES, where) | _fields(ssm_cfg, SSM_CFG, inside)
    config = _config(fields, where)
    multiple = values.get("pad_vocab_size_multiple", 8)
    if not isinstance(multiple, int) or multiple < 1:
        raise ValueError(f"{where}: pad_vocab_size_multiple is {multiple!r}, expected 1 or more")
    padded = config.vocabulary_size + -config.vocabulary_size % multiple
    config = dataclasses.replace(config, vocabulary_size=padded)
    return config, values.get("tie_embeddings", True)


def to_published(config: MambaConfig, layout: str) -> dict[str, Any]:
    """The contents of config.json for `layout`, "huggingface" or "state-spaces".

    Raises:
        ValueError: for "state-spaces", if the norm's epsilon is not 1e-5: the layout has no
            field for it.
    """
    fields = config.to_dict()
    if layout == "huggingface":
        return {
            "architectures": ["MambaForCausalLM"],
            **{key: only[0] for key, only in HUGGINGFACE_ONLY.items() if key != "rms_norm"},
            **{key: fields[name] for name, (key, _) in HUGGINGFACE.items()},
            "intermediate_size": config.d_inner,
            "tie_word_embeddings": True,
            # With True, from_pretrained divides the out_proj that it has just read by
            # sqrt(n_layer) (transformers 5.20).
            "rescale_prenorm_residual": False,
            "initializer_range": 0.02,
            "residual_in_fp32": True,
            "torch_dtype": "float32",
            "pad_token_id": 0,
            "bos_token_id": None,
            "eos_token_id": None,
        }
    if config.norm_epsilon != 1e-5:
        raise ValueError(
            "the state-spaces layout has no field for norm_epsilon, which is 1e-05 there, and "
            f"this model has {config.norm_epsilon}. Save it in the huggingface layout"
        )
    return {
        "d_model": config.d_model,
        "n_layer": config.n_layer,
        "vocab_size": config.vocabulary_size,
        "ssm_cfg": {key: fields[name] for name, (key, _) in SSM_CFG.items()},
        "rms_norm": True,
        "residual_in_fp32": True,
        "fused_add_norm": True,
        "pad_vocab_size_multiple": 1,
        "tie_embeddings": True,
    }


def _fields(values: Mapping[str, Any], names: Mapping[str, tuple], where) -> dict[str, Any]:
    missing = [key for key, default in names.values() if default is None and key not in values]
    if missing:
        raise ValueError(f"{where}: {missing} missing. It has {sorted(values)}")
    fields = {name: values.get(key, default) for name, (key, default) in names.items()}
    if fields.get("dt_rank") == "auto":
        fields["dt_rank"] = None
    return fields


def _require(values: Mapping[str, Any], only: Mapping[str, tuple], where) -> None:
    for key, accepted in only.items():
        if values.get(key, accepted[0]) not in accepted:
            raise ValueError(
                f"{where}: {key} is {values[key]!r}, but this package supports only "
                f"{' or '.join(map(repr, accepted))}"
            )


def _config(fields: dict[str, Any], where) -> MambaConfig:
    try:
        return MambaConfig(**fields)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
