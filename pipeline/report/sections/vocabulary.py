"""The vocabulary: its size, and how it splits text that it was not learned from."""

from __future__ import annotations

from pipeline.report.blocks import Block, Fold, Sentence, Table
from pipeline.report.inputs import Run
from pipeline.report.missing import not_measured
from pipeline.report.numbers import count, share


def section(run: Run) -> list[Block]:
    found = run.measurements.get("vocabulary")
    if not found or "error" in found:
        return [not_measured("Vocabulary", found)]
    tokens, words, characters = (found[name] for name in ("tokens", "words", "characters"))
    rows = [
        ("pieces", count(found["size"])),
        ("pieces that occur", f"{count(found['used'])} ({share(found['used'], found['size'])})"),
        ("tokens per word", f"{tokens / words:.3f}" if words else ""),
        ("characters per token", f"{characters / tokens:.3f}" if tokens else ""),
        ("tokens of a single byte", share(found["byte_tokens"], tokens)),
        ("unknown text", "none: every byte is a piece"),
    ]
    caption = f"On the first {count(found['texts'])} texts of split eval ({count(words)} words)"
    frequent = [(piece, count(number)) for piece, number in found["frequent"]]
    return [
        Table(caption, ("", "value"), rows),
        Sentence("The longest pieces (␣ is a space): " + ", ".join(found["longest"])),
        Fold(
            "The most frequent pieces",
            [Table("The most frequent pieces of these texts", ("piece", "tokens"), frequent)],
        ),
    ]
