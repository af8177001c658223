"""A training step in PyTorch: mambapy's language model, or transformers' Mamba on its CPU path.

Both use AdamW in its fused, faster form, and clipped gradients, as ours.
"""

from __future__ import annotations

import torch
from mambapy import mamba
from torch.nn.functional import cross_entropy, linear
from transformers import MambaConfig, MambaForCausalLM

from benchmarks.measurement import Contest


class MambapyModel(torch.nn.Module):
    """mambapy's Mamba under a tied embedding. Its own LM class needs another package."""

    def __init__(self, vocabulary_size: int, d_model: int, n_layer: int):
        super().__init__()
        config = mamba.MambaConfig(d_model=d_model, n_layers=n_layer)  # with its parallel scan
        self.embedding = torch.nn.Embedding(vocabulary_size, d_model)
        torch.nn.init.normal_(self.embedding.weight, std=0.02)
        self.mamba = mamba.Mamba(config)
        self.norm = mamba.RMSNorm(d_model)

    def forward(self, tokens):
        x = self.mamba(self.embedding(tokens))
        x = x[0] if isinstance(x, tuple) else x  # (x, last states) in some releases
        return linear(self.norm(x), self.embedding.weight)  # (b, l, vocabulary_size)


def transformers_model(vocabulary_size: int, d_model: int, n_layer: int):
    sizes = {"vocab_size": vocabulary_size, "hidden_size": d_model, "num_hidden_layers": n_layer}
    return MambaForCausalLM(MambaConfig(**sizes, use_cache=False))


MODELS = {"mambapy": MambapyModel, "transformers": transformers_model}


def main() -> None:
    contest = Contest("torch", "transformers", "mambapy")
    settings = contest.settings
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(1)
    tokens = torch.from_numpy(contest.inputs["tokens"]).long()[: settings["rows"]]
    inputs, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    sizes = [settings[name] for name in ("vocabulary_size", "d_model", "n_layer")]
    model = MODELS[settings["model"]](*sizes)
    optimizer = torch.optim.AdamW(
        model.parameters(), 1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )

    def step() -> float:
        out = model(inputs)
        logits = out if isinstance(out, torch.Tensor) else out.logits  # (b, l, vocabulary_size)
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(loss)

    contest.measure(
        "step",
        step,
        shape=list(inputs.shape),
        tokens=inputs.numel(),
        parameters=sum(p.numel() for p in model.parameters()),
    )


if __name__ == "__main__":
    main()
