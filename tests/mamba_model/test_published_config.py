import pytest

from mamba_model import MambaConfig
from mamba_model.published_config import from_published, to_published

# config.json of state-spaces/mamba-130m, and of its conversion mamba-130m-hf (without what
# is said of dtypes, special tokens and versions).
MAMBA_130M = {
    "d_model": 768,
    "n_layer": 24,
    "vocab_size": 50277,
    "ssm_cfg": {},
    "rms_norm": True,
    "residual_in_fp32": True,
    "fused_add_norm": True,
    "pad_vocab_size_multiple": 8,
}
MAMBA_130M_HF = MAMBA_130M | {
    "architectures": ["MambaForCausalLM"],
    "conv_kernel": 4,
    "d_inner": 1536,
    "expand": 2,
    "hidden_act": "silu",
    "hidden_size": 768,
    "initializer_range": 0.1,
    "intermediate_size": 1536,
    "layer_norm_epsilon": 1e-05,
    "model_type": "mamba",
    "num_hidden_layers": 24,
    "rescale_prenorm_residual": False,
    "state_size": 16,
    "time_step_floor": 0.0001,
    "time_step_init_scheme": "random",
    "time_step_max": 0.1,
    "time_step_min": 0.001,
    "time_step_rank": 48,
    "time_step_scale": 1.0,
    "use_bias": False,
    "use_conv_bias": True,
    "vocab_size": 50280,
}


@pytest.mark.parametrize("values", [MAMBA_130M, MAMBA_130M_HF], ids=["state-spaces", "hf"])
def test_both_published_configs_of_one_model_are_the_same_model(values):
    config, tied = from_published(values)
    assert config == MambaConfig(vocabulary_size=50280, d_model=768, n_layer=24, dt_rank=48)
    assert (config.d_inner, config.d_state, config.norm_epsilon, tied) == (1536, 16, 1e-5, True)


@pytest.mark.parametrize("layout", ["huggingface", "state-spaces"])
def test_a_config_comes_back_as_it_was(layout):
    config = MambaConfig(
        vocabulary_size=71,
        d_model=20,
        n_layer=3,
        d_state=6,
        d_conv=3,
        expand=5,
        dt_rank=7,
        dt_min=0.002,
        dt_max=0.3,
        dt_init_floor=0.003,
    )
    assert from_published(to_published(config, layout)) == (config, True)


def test_a_rank_left_to_the_file_is_the_papers():
    assert from_published(MAMBA_130M_HF | {"time_step_rank": "auto"})[0].dt_rank == 48
    assert from_published(MAMBA_130M | {"ssm_cfg": {"dt_rank": "auto"}})[0].dt_rank == 48


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (MAMBA_130M_HF | {"model_type": "mamba2"}, "model_type is 'mamba2', but .* only 'mamba'"),
        (MAMBA_130M_HF | {"use_bias": True}, "use_bias is True, but .* only False"),
        (MAMBA_130M_HF | {"use_conv_bias": False}, "use_conv_bias is False"),
        (MAMBA_130M_HF | {"hidden_act": "gelu"}, "hidden_act is 'gelu', .* 'silu' or 'swish'"),
        (MAMBA_130M_HF | {"intermediate_size": 1000}, "intermediate_size is 1000, .* only 1536"),
        (MAMBA_130M_HF | {"state_size": 0}, r"MambaConfig\.d_state must be .* at least 1, got 0"),
        (MAMBA_130M | {"rms_norm": False}, "rms_norm is False"),
        (MAMBA_130M | {"attn_layer_idx": [3]}, r"attn_layer_idx is \[3\]"),
        (MAMBA_130M | {"d_intermediate": 64}, "d_intermediate is 64"),
        (MAMBA_130M | {"ssm_cfg": {"layer": "Mamba2"}}, "ssm_cfg: layer is 'Mamba2'"),
        (MAMBA_130M | {"ssm_cfg": {"bias": True}}, "ssm_cfg: bias is True"),
        (MAMBA_130M | {"ssm_cfg": {"headdim": 64}}, r"ssm_cfg has \['headdim'\], which"),
        (MAMBA_130M | {"pad_vocab_size_multiple": 0}, "pad_vocab_size_multiple is 0"),
        ({"d_model": 8}, r"\['vocab_size', 'n_layer'\] missing\. It has \['d_model'\]"),
        ({"n_embd": 8}, r"neither hidden_size .* nor d_model .* It has \['n_embd'\]"),
    ],
)
def test_what_this_package_does_not_have_is_refused_by_name(values, message):
    with pytest.raises(ValueError, match=rf"/m/config\.json: .*{message}"):
        from_published(values, "/m/config.json")
