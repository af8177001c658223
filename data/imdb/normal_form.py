"""The reviews' normal form: lower case, each break one line end, no blank lines."""

from __future__ import annotations

from data.normal_form import NormalForm, Rule

# The bytes 80 to 9F of Windows-1252, decoded as Latin-1 at some point, so they arrive as C1
# control characters (`\x8ei\x9eek` is Žižek). Those that fold to ASCII are in _FOLDS; the
# five that Windows-1252 leaves undefined are removed.
_FROM_WINDOWS: tuple[Rule, ...] = (
    (r"[\x81\x8d\x8f\x90\x9d]", ""),
    *(
        (rf"\x{byte:02x}", bytes([byte]).decode("cp1252"))
        for byte in bytes.fromhex("80 83 86 87 88 89 8a 8c 8e 95 98 99 9a 9c 9e 9f")
    ),
)

# The five entities of XML, the non-breaking space, and the numbered ones that occur in the
# reviews. `&amp;` comes first, with all its repeats, so that `&amp;quot;` needs no second
# pass. The patterns ignore case because lower-casing comes last: it would turn an
# unmatched `&QUOT;` into an entity.
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

# Typographic quotes, dashes and ellipses. Reviewers also quote with ´, ` and ¨.
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

IMDB = NormalForm(
    rules=(
        # Control characters other than white space, soft hyphens, zero-width spaces.
        ("[\\x00-\\x08\\x0e-\\x1b\\x7f\\xad\u200b\ufeff]", ""),
        *_FROM_WINDOWS,
        *_ENTITIES,
        *_FOLDS,
        *_LINES,
    ),
    lower=True,
)
