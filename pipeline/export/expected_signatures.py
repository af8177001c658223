"""The signatures that InfraCheck expects in an export, and their inputs, by the task's head."""

from __future__ import annotations

SIGNATURES: dict[str, dict[str, tuple[str, ...]]] = {
    "sentiment": {
        "serving_default": ("text",),
        "serving_examples": ("examples",),
        "classify": ("inputs",),
        "embed": ("text",),
    },
    "next_token": {
        "serving_default": (
            "text",
            "max_new_tokens",
            "temperature",
            "top_k",
            "top_p",
            "repetition_penalty",
            "seed",
        ),
        "score": ("text",),
        "score_examples": ("examples",),
        "score_stream": ("text", "ends_line", "last_token", "conv", "ssm"),
        "embed": ("text",),
    },
}
