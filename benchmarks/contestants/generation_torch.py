"""Generation by transformers' Mamba, with its cache; a streamer records the time per token."""

from __future__ import annotations

import time

import torch
from transformers import MambaConfig, MambaForCausalLM
from transformers.generation.streamers import BaseStreamer

from benchmarks.measurement import Contest, memory_mib


class Clock(BaseStreamer):
    """Records the times of the prompt and of each token."""

    def __init__(self):
        self.times: list[float] = []

    def put(self, value):
        self.times.append(time.perf_counter())

    def end(self):
        pass


def main() -> None:
    contest = Contest("torch", "transformers")
    settings = contest.settings
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(1)
    model = MambaForCausalLM(
        MambaConfig(
            vocab_size=settings["vocabulary_size"],
            hidden_size=settings["d_model"],
            num_hidden_layers=settings["n_layer"],
        )
    ).eval()
    model.generation_config.eos_token_id = None  # no token ends the generation
    prompts = torch.from_numpy(contest.inputs["prompts"]).long()
    count = settings["new_tokens"]

    def generate() -> tuple[float, float]:
        """Milliseconds to the first token, and of each after it."""
        clock = Clock()
        started = time.perf_counter()
        model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=1 + count,
            do_sample=False,
            use_cache=True,
            pad_token_id=0,
            streamer=clock,
        )
        _, first, *_, last = clock.times  # the first one is the prompt's
        return 1e3 * (first - started), 1e3 * (last - first) / count

    if settings["measure"] == "memory":
        contest.measure("generation", generate)
        return
    generate()
    prefill_ms, ms = zip(*contest.repeat(generate), strict=True)
    peak_mib = memory_mib("VmHWM")
    contest.record("generation", ms=ms, prefill_ms=prefill_ms, new_tokens=count, peak_mib=peak_mib)


if __name__ == "__main__":
    main()
