"""A normal form: the text that a model sees, as rules that Python and TensorFlow both apply.

A normal form is a table of (pattern, replacement) rules, applied in order, then optionally
lower case. `NormalForm.apply` applies it in Python; pipeline/transform/preprocessing.py applies
the same rules in the TensorFlow graph with `tf.strings.regex_replace`. The tables of the two
corpora are in data/bible/normal_form.py and data/imdb/normal_form.py.

So every pattern must mean the same to Python's `re` and to RE2: no `\\s`, `\\w` or `\\b`
(ASCII only in RE2), no lookaround, no back-reference, and no `$` that could match before a
line end (Python's also matches before a final one). The input is valid Unicode: the readers
repair invalid bytes first (data/decoding.py).

Applying a normal form twice gives the same text as applying it once. So no rule may produce
what an earlier rule replaces; the order of the rules ensures that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

Rule = tuple[str, str]


@dataclass(frozen=True)
class NormalForm:
    """Replacement rules in order, then optionally lower case.

    Attributes:
        rules: (pattern, replacement) pairs; replacements refer to no groups.
        lower: whether to convert the text to lower case after the last rule.
    """

    rules: tuple[Rule, ...] = ()
    lower: bool = False

    def apply(self, text: str) -> str:
        """Returns `text` (valid Unicode) in normal form."""
        for pattern, replacement in self._compiled:
            text = pattern.sub(replacement, text)
        return text.lower() if self.lower else text

    @cached_property
    def _compiled(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        return tuple((re.compile(pattern), replacement) for pattern, replacement in self.rules)
