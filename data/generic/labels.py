"""Labels: names of classes to their numbers; and texts that can be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data.decoding import printable, repaired
from data.records import BAD_LABEL, EMPTY_TEXT, INVALID_UTF8, DeadLetter


class Labels:
    """The numbers of classes by name, alias, or either in another case if that is unambiguous."""

    def __init__(self, classes: Sequence[str], aliases: Mapping[str, str]) -> None:
        number = {name: index for index, name in enumerate(classes)}
        self._exact = {alias: number[name] for alias, name in aliases.items()} | number
        folded: dict[str, set[int]] = {}
        for name, index in self._exact.items():
            folded.setdefault(name.casefold(), set()).add(index)
        self._folded = {name: min(all_) for name, all_ in folded.items() if len(all_) == 1}

    def number(self, label: str) -> int | None:
        """The index of the label's class; None if it names none."""
        label = label.strip()
        return self._exact.get(label, self._folded.get(label.casefold()))


def checked_text(text: str | None, file: str, line: int) -> str | DeadLetter:
    """The repaired text, or a dead letter."""
    readable = repaired(text or "")
    if readable is None or not _is_unicode(readable):
        return DeadLetter(file, line, INVALID_UTF8, printable(text or ""))
    return readable if readable.strip() else DeadLetter(file, line, EMPTY_TEXT, "no text")


def checked(
    text: str | None, label: str | None, labels: Labels, file: str, line: int
) -> tuple[str, int] | DeadLetter:
    """The repaired text and the label's number, or a dead letter."""
    readable = checked_text(text, file, line)
    if isinstance(readable, DeadLetter):
        return readable
    number = labels.number(label or "")
    if number is None:
        shown = printable((label or "").strip())[:40]
        return DeadLetter(file, line, BAD_LABEL, f"{shown!r}: {readable}")
    return readable, number


def _is_unicode(text: str) -> bool:
    """Whether the text has no lone surrogates, which JSON can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
