"""Normal forms for a new task: what its text has decides which rules there are."""

from __future__ import annotations

from data.normal_form import NormalForm, Rule
from data.tasks import Kind

MARKUP_SHARE = 0.01  # of the records; if fewer have tags or entities, these stay as they are

Described = tuple[str, Rule]  # what a comment says of a rule, and the rule

# No rule makes what one before it replaces, so the form of a form is the same.
_LINE_ENDS = ("line ends", ("\r\n?|[\x85\u2028\u2029]", "\n"))
_INVISIBLE = (
    "control characters, soft hyphens, zero-width spaces",
    ("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\u200b\ufeff]", ""),
)
_SPACES = (
    "any space that is no line end",
    ("[\\t\\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]", " "),
)
_QUOTES = (
    ("typographic quotes, dashes and ellipses", ("[‘’‚‛‹›′]", "'")),
    ("", ("[“”„‟″«»]", '"')),
    ("", ("[‐‑‒–—―−]", "-")),
    ("", ("…", "...")),
)
_FOLDED = (
    ("runs of spaces and of line ends; both ends", (" *\n[ \n]*", "\n")),
    ("", (" +", " ")),
    ("", ("^[ \n]+|[ \n]+$", "")),
)
_LINES = (
    ("spaces at the end of a line; more than one blank line; both ends", (" +\n", "\n")),
    ("", ("\n\n\n+", "\n\n")),
    ("", ("^[ \n]+|[ \n]+$", "")),
)


def rules_for(kind: Kind) -> tuple[Described, ...]:
    """The rules of a kind's normal form.

    A classification also folds quotes and spaces. A model that predicts the next token is to write
    such text, so it sees it nearly as it is.
    """
    first = (_LINE_ENDS, _INVISIBLE, _SPACES)
    return (*first, *(_QUOTES + _FOLDED if kind == "classification" else _LINES))


def normal_form(kind: Kind, markup_share: float) -> NormalForm:
    """The form of `rules_for`; a classification's is in lower case.

    Args:
        markup_share: of the records that have tags or character entities.
    """
    rules = tuple(rule for _, rule in rules_for(kind))
    return NormalForm(rules, kind == "classification", markup_share >= MARKUP_SHARE)
