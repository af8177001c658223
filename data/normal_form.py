"""The normal form of each corpus: which characters a model gets to see.

A normal form is a table of (pattern, replacement) rules, applied in order, and then
perhaps lower case. It is defined once, here, and applied twice: in Python by
`NormalForm.apply`, in the TensorFlow graph by pipeline/transform/preprocessing.py, which loops over
the same rules with `tf.strings.regex_replace`.

So every pattern must mean the same to Python's `re` and to RE2: no `\\s`, `\\w` or `\\b`
(RE2's know ASCII only), no lookaround, no back-reference, and no `$` that could meet a
line end (Python's also matches before a last one). Input is valid Unicode: whoever reads
bytes repairs them first (data/decoding.py).

Applying a normal form twice gives what applying it once gives; for that, no rule may put
out what an earlier rule takes in. The order of the rules sees to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

Rule = tuple[str, str]


@dataclass(frozen=True)
class NormalForm:
    """Rules of replacement, in order, and whether lower case follows.

    Attributes:
        rules: (pattern, replacement) pairs; the replacements hold no groups.
        lower: whether the text is put in lower case after the last rule.
    """

    rules: tuple[Rule, ...]
    lower: bool

    def apply(self, text: str) -> str:
        """Returns `text` (valid Unicode) in normal form."""
        for pattern, replacement in self._compiled:
            text = pattern.sub(replacement, text)
        return text.lower() if self.lower else text

    @cached_property
    def _compiled(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        return tuple((re.compile(pattern), replacement) for pattern, replacement in self.rules)


# Keeps case, punctuation and lines. When the last two rules are reached, no run of spaces
# is left, so they leave no space at either end of any line.
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

# Windows' characters 80 to 9F, read as Latin-1 somewhere on the way, so that they arrive
# as C1 control characters (`\x8ei\x9eek` is a philosopher's name). Those that fold to
# ASCII stand in _FOLDS; the five that Windows leaves undefined mean nothing and go.
_FROM_WINDOWS: tuple[Rule, ...] = (
    (r"[\x81\x8d\x8f\x90\x9d]", ""),
    (r"\x80", "€"),
    (r"\x83", "ƒ"),
    (r"\x86", "†"),
    (r"\x87", "‡"),
    (r"\x88", "ˆ"),
    (r"\x89", "‰"),
    (r"\x8a", "Š"),
    (r"\x8c", "Œ"),
    (r"\x8e", "Ž"),
    (r"\x95", "•"),
    (r"\x98", "˜"),
    (r"\x99", "™"),
    (r"\x9a", "š"),
    (r"\x9c", "œ"),
    (r"\x9e", "ž"),
    (r"\x9f", "Ÿ"),
)

# The five of XML, the blank, and the numbered ones that the reviews hold. `&amp;` comes
# first, with all its repeats, so that `&amp;quot;` needs no second pass. Letter case is
# free because lower case comes last: `&QUOT;` would else turn into an entity.
_ENTITIES: tuple[Rule, ...] = (
    (r"&(?:[Aa][Mm][Pp];|#38;)+", "&"),
    (r"&(?:[Qq][Uu][Oo][Tt]|#34|#8220|#8221);", '"'),
    (r"&(?:[Aa][Pp][Oo][Ss]|#39|#8216|#8217);", "'"),
    (r"&[Ll][Tt];", "<"),
    (r"&[Gg][Tt];", ">"),
    (r"&(?:[Nn][Bb][Ss][Pp]|#160);", " "),
    (r"&#(?:8211|8212);", "-"),
    (r"&#8230;", "..."),
    (r"&#269;", "č"),
    (r"&#305;", "ı"),
    (r"&#345;", "ř"),
)

# Quotes, dashes and dots that only typesetters tell apart. Reviewers quote with ´, ` and ¨
# too, for want of a better key.
_FOLDS: tuple[Rule, ...] = (
    (r"[\x82\x8b\x91\x92\x9b‘’‚‛‹›′´`]", "'"),
    (r"[\x84\x93\x94“”„‟″«»¨]", '"'),
    (r"[\x96\x97‐‑‒–—―−]", "-"),
    (r"\x85|…", "..."),
)

_LINES: tuple[Rule, ...] = (
    (r"<[ \t\r\n]*/?[ \t\r\n]*[Bb][Rr][ \t\r\n]*/?[ \t\r\n]*>", "\n"),
    ("[\\r\u2028\u2029]", "\n"),
    ("[\\t\\x0b\\x0c\\x1c-\\x1f\\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]", " "),
    (r" *\n[ \n]*", "\n"),
    (r" +", " "),
    (r"^[ \n]+|[ \n]+$", ""),
)

# One review: lower case, one kind of line end for each break, no blank line.
IMDB = NormalForm(
    rules=(
        # Control characters that are no white space, soft hyphens, zero-width blanks.
        ("[\\x00-\\x08\\x0e-\\x1b\\x7f\\xad\u200b\ufeff]", ""),
        *_FROM_WINDOWS,
        *_ENTITIES,
        *_FOLDS,
        *_LINES,
    ),
    lower=True,
)
