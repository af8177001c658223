"""A normal form: the text that a model sees, as rules that Python and TensorFlow both apply.

A normal form is a table of (pattern, replacement) rules, applied in order, then optionally
lower case. `NormalForm.apply` applies it in Python; pipeline/transform/preprocessing.py applies
the same rules in the TensorFlow graph with `tf.strings.regex_replace`. A task's table is in its
task.toml.

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

# Of HTML. Entities come first, as `&lt;b&gt;` gives a tag. A tag leaves a space or a line end, so
# that what stood around it makes no new tag or entity. As in a browser, `<` before a letter begins
# a tag, which ends at the next `>`: so no beginning is left that has an end.
MARKUP: tuple[Rule, ...] = (
    # Control characters and others without width, which would hide a tag.
    ("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f\\xad\u200b\ufeff]", ""),
    (r"(?i)&(?:amp;|#38;)+", "&"),
    (r"(?i)&(?:quot|#34|#x22|ldquo|rdquo|#8220|#8221);", '"'),
    (r"(?i)&(?:apos|#39|#x27|lsquo|rsquo|#8216|#8217);", "'"),
    (r"(?i)&(?:lt|#60);", "<"),
    (r"(?i)&(?:gt|#62);", ">"),
    (r"(?i)&(?:nbsp|#160);", " "),
    (r"(?i)&(?:ndash|mdash|#8211|#8212);", "-"),
    (r"(?i)&(?:hellip|#8230);", "..."),
    (r"(?i)</?(?:br|p|div|li|ul|ol|tr|table|h[1-6]|blockquote)(?:[ \t\r\n/][^>]*)?>", "\n"),
    (r"<[A-Za-z/!?][^>]*>", " "),
)

# Before lower case: TensorFlow's `lower` drops all that follows a NUL.
_NO_NUL: Rule = (r"\x00", "")


@dataclass(frozen=True)
class NormalForm:
    """Replacement rules in order, then optionally lower case.

    Attributes:
        rules: (pattern, replacement) pairs; replacements refer to no groups.
        lower: whether to convert the text to lower case after the last rule.
        markup: whether HTML's tags and entities become text, by MARKUP, before the first rule.
    """

    rules: tuple[Rule, ...] = ()
    lower: bool = False
    markup: bool = False

    def apply(self, text: str) -> str:
        """Returns `text` (valid Unicode) in normal form."""
        for pattern, replacement in self._compiled:
            text = pattern.sub(replacement, text)
        return text.lower() if self.lower else text

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """The rules with those that `lower` and `markup` need, in order."""
        before = ((_NO_NUL,) if self.lower else ()) + (MARKUP if self.markup else ())
        return before + self.rules

    @cached_property
    def _compiled(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        return tuple((re.compile(pattern), replacement) for pattern, replacement in self.all_rules)
