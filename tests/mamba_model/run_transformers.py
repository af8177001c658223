"""Runs the published code on its own weights and on ours, in the peers' environment.

    .venv-peers/bin/python run_transformers.py FOLDER

Reads in FOLDER: inputs.npz, and our checkpoints in ours-huggingface and ours-state-spaces.
Writes there: its checkpoints, theirs-*, and outputs.npz.
"""

import json
import os
import sys

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import MambaConfig, MambaForCausalLM
from transformers.models.mamba.modeling_mamba import mamba_selective_scan


def random_model(vocabulary_size):
    """A model with all weights random, so that a mix-up of any two shows."""
    torch.manual_seed(11)
    config = MambaConfig(
        vocab_size=vocabulary_size,
        hidden_size=20,
        state_size=6,
        num_hidden_layers=3,
        conv_kernel=3,
        expand=3,
        time_step_rank=7,
        time_step_min=0.002,
        time_step_max=0.3,
        time_step_floor=0.001,
        layer_norm_epsilon=1e-3,
    )
    model = MambaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def logits(model, tokens, mask=None):
    return model(tokens, attention_mask=mask).logits.numpy()


def gradients(model, tokens):
    """Gradients of the mean cross-entropy of the next tokens, by parameter."""
    model.zero_grad()
    flat = model(tokens[:, :-1]).logits.flatten(0, 1)
    loss = torch.nn.functional.cross_entropy(flat, tokens[:, 1:].flatten())
    loss.backward()
    return {name: p.grad.numpy() for name, p in model.named_parameters()} | {"loss": loss.item()}


@torch.no_grad()
def by_token(model, tokens, start):
    """Logits from `start` on, computed token by token from the cache, and the final cache."""
    cache = model(tokens[:, :start], use_cache=True).cache_params
    steps = []
    for t in range(start, tokens.shape[1]):
        output = model(tokens[:, t : t + 1], cache_params=cache, use_cache=True)
        steps.append(output.logits)
    conv = torch.stack([layer.conv_states[0] for layer in cache.layers])
    ssm = torch.stack([layer.recurrent_states[0] for layer in cache.layers])
    return {"logits": torch.cat(steps, 1).numpy(), "conv": conv.numpy(), "ssm": ssm.numpy()}


@torch.no_grad()
def greedy(model, prompts, lengths, count):
    """The greedy continuation of each prompt, padded on the left as generate requires."""
    width = prompts.shape[1]
    shifted = torch.zeros_like(prompts)
    mask = torch.zeros_like(prompts)
    for row, length in enumerate(lengths):
        shifted[row, width - length :] = prompts[row, :length]
        mask[row, width - length :] = 1
    ids = model.generate(
        shifted,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=count,
        suppress_tokens=[0],  # padding, which we never generate; also their end of text
    )
    return ids[:, width:].numpy()


def scan(inputs):
    """selective_scan_ref: y and the last state, and the gradient of each input."""
    x = {name: torch.tensor(array).double().requires_grad_() for name, array in inputs.items()}
    y, last_state = mamba_selective_scan(
        x["u"].transpose(1, 2),  # (b, d, l) from here on
        x["delta"].transpose(1, 2),
        x["A"],
        x["B"].transpose(1, 2),
        x["C"].transpose(1, 2),
        x["D"],
        z=x["z"].transpose(1, 2),
        delta_bias=x["delta_bias"],
        delta_softplus=True,
        return_last_state=True,
    )
    y = y.transpose(1, 2)
    (torch.sin(y).sum() + torch.sin(last_state).sum()).backward()
    results = {"y": y.detach().numpy(), "last_state": last_state.detach().numpy()}
    return results | {f"d_{name}": tensor.grad.numpy() for name, tensor in x.items()}


def save_all(model, folder):
    """Saves the same weights in every supported form."""
    model.save_pretrained(f"{folder}/theirs-huggingface")
    model.save_pretrained(f"{folder}/theirs-sharded", max_shard_size="20KB")
    os.makedirs(f"{folder}/theirs-pickle")
    model.config.save_pretrained(f"{folder}/theirs-pickle")
    torch.save(model.state_dict(), f"{folder}/theirs-pickle/pytorch_model.bin")

    os.makedirs(f"{folder}/theirs-state-spaces")
    c = model.config
    ssm_cfg = {"d_state": c.state_size, "d_conv": c.conv_kernel, "expand": c.expand}
    config = {
        "d_model": c.hidden_size,
        "n_layer": c.num_hidden_layers,
        "vocab_size": c.vocab_size - 3,
        "pad_vocab_size_multiple": 8,
        "ssm_cfg": ssm_cfg | {"dt_rank": c.time_step_rank},
        "norm_epsilon": c.layer_norm_epsilon,
        "rms_norm": True,
        "residual_in_fp32": True,
        "fused_add_norm": True,
    }
    with open(f"{folder}/theirs-state-spaces/config.json", "w") as file:
        json.dump(config, file)
    renamed = {
        name.replace("embeddings", "embedding"): tensor.clone()
        for name, tensor in model.state_dict().items()
    }
    save_file(renamed, f"{folder}/theirs-state-spaces/model.safetensors")


def from_state_spaces(folder):
    """Sizes mapped and weights taken by name, as transformers' own conversion does."""
    with open(f"{folder}/config.json") as file:
        config = json.load(file)
    ssm_cfg = config["ssm_cfg"]
    model = MambaForCausalLM(
        MambaConfig(
            vocab_size=config["vocab_size"],
            hidden_size=config["d_model"],
            num_hidden_layers=config["n_layer"],
            state_size=ssm_cfg["d_state"],
            conv_kernel=ssm_cfg["d_conv"],
            expand=ssm_cfg["expand"],
            time_step_rank=ssm_cfg["dt_rank"],
        )
    )
    model.load_state_dict(load_file(f"{folder}/model.safetensors"))
    return model.eval()


def main(folder):
    arrays = dict(np.load(f"{folder}/inputs.npz"))
    tokens, long, mask, prompts = (
        torch.tensor(arrays[name]).long() for name in ("tokens", "long", "mask", "prompts")
    )
    model = random_model(int(arrays["vocabulary_size"]))
    save_all(model, folder)
    outputs = {
        "logits": logits(model, tokens),
        "long": logits(model, long),
        "padded_right": logits(model, tokens, mask),
        "padded_left": logits(model, tokens, mask.flip(1)),
        "greedy": greedy(model, prompts, arrays["lengths"], count=24),
    }
    outputs |= {f"step/{name}": x for name, x in by_token(model, tokens, start=9).items()}
    outputs |= {f"gradient/{name}": x for name, x in gradients(model, tokens).items()}
    model.bfloat16().save_pretrained(f"{folder}/theirs-bfloat16")
    outputs["bfloat16"] = logits(model.float(), tokens)

    ours, complaints = MambaForCausalLM.from_pretrained(
        f"{folder}/ours-huggingface", output_loading_info=True
    )
    outputs["complaints"] = np.array([f"{kind}: {x}" for kind, x in complaints.items() if x])
    outputs["ours-huggingface"] = logits(ours.eval(), tokens)
    ours = from_state_spaces(f"{folder}/ours-state-spaces")
    outputs["ours-state-spaces"] = logits(ours, tokens)
    prefix = "scan/"
    inputs = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    outputs |= {prefix + name: array for name, array in scan(inputs).items()}
    np.savez(f"{folder}/outputs.npz", **outputs)


if __name__ == "__main__":
    main(sys.argv[1])
