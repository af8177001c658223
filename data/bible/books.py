"""The 66 books in order: their names in this project and their titles at Project Gutenberg."""

from __future__ import annotations

import re

# Name: Project Gutenberg's title. The first 39 are the Old Testament.
GUTENBERG_TITLES = {
    "Genesis": "The First Book of Moses: Called Genesis",
    "Exodus": "The Second Book of Moses: Called Exodus",
    "Leviticus": "The Third Book of Moses: Called Leviticus",
    "Numbers": "The Fourth Book of Moses: Called Numbers",
    "Deuteronomy": "The Fifth Book of Moses: Called Deuteronomy",
    "Joshua": "The Book of Joshua",
    "Judges": "The Book of Judges",
    "Ruth": "The Book of Ruth",
    "1 Samuel": "The First Book of Samuel",
    "2 Samuel": "The Second Book of Samuel",
    "1 Kings": "The First Book of the Kings",
    "2 Kings": "The Second Book of the Kings",
    "1 Chronicles": "The First Book of the Chronicles",
    "2 Chronicles": "The Second Book of the Chronicles",
    "Ezra": "Ezra",
    "Nehemiah": "The Book of Nehemiah",
    "Esther": "The Book of Esther",
    "Job": "The Book of Job",
    "Psalms": "The Book of Psalms",
    "Proverbs": "The Proverbs",
    "Ecclesiastes": "Ecclesiastes",
    "Song of Solomon": "The Song of Solomon",
    "Isaiah": "The Book of the Prophet Isaiah",
    "Jeremiah": "The Book of the Prophet Jeremiah",
    "Lamentations": "The Lamentations of Jeremiah",
    "Ezekiel": "The Book of the Prophet Ezekiel",
    "Daniel": "The Book of Daniel",
    "Hosea": "Hosea",
    "Joel": "Joel",
    "Amos": "Amos",
    "Obadiah": "Obadiah",
    "Jonah": "Jonah",
    "Micah": "Micah",
    "Nahum": "Nahum",
    "Habakkuk": "Habakkuk",
    "Zephaniah": "Zephaniah",
    "Haggai": "Haggai",
    "Zechariah": "Zechariah",
    "Malachi": "Malachi",
    "Matthew": "The Gospel According to Saint Matthew",
    "Mark": "The Gospel According to Saint Mark",
    "Luke": "The Gospel According to Saint Luke",
    "John": "The Gospel According to Saint John",
    "Acts": "The Acts of the Apostles",
    "Romans": "The Epistle of Paul the Apostle to the Romans",
    "1 Corinthians": "The First Epistle of Paul the Apostle to the Corinthians",
    "2 Corinthians": "The Second Epistle of Paul the Apostle to the Corinthians",
    "Galatians": "The Epistle of Paul the Apostle to the Galatians",
    "Ephesians": "The Epistle of Paul the Apostle to the Ephesians",
    "Philippians": "The Epistle of Paul the Apostle to the Philippians",
    "Colossians": "The Epistle of Paul the Apostle to the Colossians",
    "1 Thessalonians": "The First Epistle of Paul the Apostle to the Thessalonians",
    "2 Thessalonians": "The Second Epistle of Paul the Apostle to the Thessalonians",
    "1 Timothy": "The First Epistle of Paul the Apostle to Timothy",
    "2 Timothy": "The Second Epistle of Paul the Apostle to Timothy",
    "Titus": "The Epistle of Paul the Apostle to Titus",
    "Philemon": "The Epistle of Paul the Apostle to Philemon",
    "Hebrews": "The Epistle of Paul the Apostle to the Hebrews",
    "James": "The General Epistle of James",
    "1 Peter": "The First Epistle General of Peter",
    "2 Peter": "The Second General Epistle of Peter",
    "1 John": "The First Epistle General of John",
    "2 John": "The Second Epistle General of John",
    "3 John": "The Third Epistle General of John",
    "Jude": "The General Epistle of Jude",
    "Revelation": "The Revelation of Saint John the Divine",
}

BOOKS = tuple(GUTENBERG_TITLES)

_ROMAN = {"i": "1", "ii": "2", "iii": "3"}
_OTHER_NAMES = {
    "psalm": "Psalms",
    "song of songs": "Song of Solomon",
    "revelations": "Revelation",
    # Older copies of the Gutenberg text.
    "the second epistle general of peter": "2 Peter",
    "the second epistle of john": "2 John",
    "the third epistle of john": "3 John",
    "the book of daniel the prophet": "Daniel",
}


def _folded(name: str) -> str:
    """Lower case, without punctuation, with `I Samuel` as `1 samuel`."""
    words = re.sub(r"[^a-z0-9 ]", "", " ".join(name.lower().split())).split()
    if words and words[0] in _ROMAN:
        words[0] = _ROMAN[words[0]]
    return " ".join(words)


_BY_NAME = {_folded(name): name for name in BOOKS} | _OTHER_NAMES
_BY_TITLE = _BY_NAME | {_folded(title): name for name, title in GUTENBERG_TITLES.items()}


def named(name: str) -> str | None:
    """Returns the book with that name (any case; also `I Samuel`, `Psalm`), or None."""
    return _BY_NAME.get(_folded(name))


def titled(line: str) -> str | None:
    """Returns the book whose Gutenberg title or name is the whole line, or None."""
    return _BY_TITLE.get(_folded(line))


def number(book: str) -> int:
    """Returns the position of a book in BOOKS, from 1 to 66."""
    return BOOKS.index(book) + 1


def testament(book: str) -> str:
    """Returns "old" or "new" for a book in BOOKS."""
    return "old" if BOOKS.index(book) < 39 else "new"
