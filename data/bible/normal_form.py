"""The Bible's normal form: keeps case, punctuation and lines."""

from __future__ import annotations

from data.normal_form import NormalForm

# Before the last two rules, each run of spaces is already one space, so these two rules
# leave no space at either end of a line.
BIBLE = NormalForm(
    rules=(
        (r"[\[\]]", ""),  # brackets around words that the translators supplied
        (r"’", "'"),
        (r"æ", "ae"),
        (r"Æ", "Ae"),
        (r"—", "-"),
        (r"\r\n?", "\n"),
        (r" +", " "),
        (r" ?\n ?", "\n"),
        (r"^ | $", ""),
    ),
    lower=False,
)
