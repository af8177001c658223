"""mambapy's scan in PyTorch: its parallel scan, or its sequential mode (setting `scan`)."""

from __future__ import annotations

import torch
from mambapy.mamba import MambaBlock, MambaConfig

from benchmarks.measurement import Contest

INPUTS = ("u", "delta", "A", "B", "C", "D")
SCANS = {"pscan": "selective_scan", "sequential": "selective_scan_seq"}


def as_arrays(tensors):
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def main() -> None:
    contest = Contest("torch", "mambapy")
    torch.set_num_threads(contest.settings["threads"])
    given = {name: torch.from_numpy(array) for name, array in contest.inputs.items()}
    inputs = [given[name].requires_grad_() for name in INPUTS]
    d, n = given["A"].shape
    # mambapy's scans are methods of a block, whose weights are not used.
    block = MambaBlock(MambaConfig(d_model=d, n_layers=1, d_state=n, expand_factor=1))
    scan = getattr(block, SCANS[contest.settings["scan"]])

    def run():
        y = scan(*inputs)
        return y[0] if isinstance(y, tuple) else y  # (y, last state) in some releases

    def forward():
        with torch.no_grad():
            return {"y": run()}

    def forward_and_backward():
        y = run()
        gradients = torch.autograd.grad(y, inputs, given["dy"])
        return {"y": y} | {f"d{name}": g for name, g in zip(INPUTS, gradients, strict=True)}

    passes = {"fwd": forward, "fwd_bwd": forward_and_backward}
    for part in contest.settings["parts"]:
        contest.measure(part, passes[part], as_arrays)


if __name__ == "__main__":
    main()
