"""The signatures that InfraCheck expects in an export, and their inputs, by the task's kind."""

from __future__ import annotations

from data.tasks import Kind

SIGNATURES: dict[Kind, dict[str, tuple[str, ...]]] = {
    "classification": {
        "serving_default": ("text",),
        "serving_examples": ("examples",),
        "classify": ("inputs",),
        "embed": ("text",),
    },
    "next-token": {
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
