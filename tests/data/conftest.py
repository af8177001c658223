"""The packaged corpora, read once, and written in the other accepted formats."""

import textwrap

import pytest
from read_corpora import BIBLE, IMDB, records

from data.bible import formats as bible_formats
from data.bible import reader as bible
from data.bible.books import GUTENBERG_TITLES

ALIASES = {
    "1 Samuel": "The First Book of the Kings",
    "2 Samuel": "The Second Book of the Kings",
    "1 Kings": "The Third Book of the Kings",
    "2 Kings": "The Fourth Book of the Kings",
}


@pytest.fixture(scope="session")
def verses():
    """All verses as the package stores them, without spaces at their ends."""
    return [
        bible_formats.Verse(verse.book, verse.chapter, verse.verse, verse.text.strip(), 0)
        for verse in bible_formats.packaged_verses(bible.packaged_file())
    ]


@pytest.fixture(scope="session")
def chapters():
    """All chapters of the packaged Bible."""
    return records(BIBLE)


@pytest.fixture(scope="session")
def reviews():
    """All reviews of the packaged corpus."""
    return records(IMDB)


@pytest.fixture(scope="session")
def some(reviews):
    """200 reviews of each label, from the start of each half."""
    return reviews[:200] + reviews[12_500:12_700]


@pytest.fixture(scope="session")
def gutenberg_text(verses):
    """The packaged verses in the layout of Project Gutenberg's pg10.txt.

    A header, the START marker, a table of contents, the titles (those of Samuel and Kings
    with their second title), paragraphs of one to four verses wrapped at 70 columns, so that
    marks are anywhere in a line and at its end, one verse in two paragraphs as in the original,
    the END marker, and a licence that quotes a mark.
    """
    body = ["The Old Testament of the King James Version of the Bible\n"]
    book = None
    paragraph: list[str] = []

    def close_paragraph():
        if paragraph:
            body.append(textwrap.fill(" ".join(paragraph), 70, break_on_hyphens=False) + "\n")
            paragraph.clear()

    for verse in verses:
        if verse.book != book:
            close_paragraph()
            if verse.book == "Matthew":
                body.append("***\n\n\nThe New Testament of the King James Bible\n")
            book = verse.book
            body.append(f"\n\n\n{GUTENBERG_TITLES[book]}\n")
            if book in ALIASES:
                body.append(f"Otherwise Called:\n\n{ALIASES[book]}\n")
            if book == "Ecclesiastes":
                body.append("or\n\nThe Preacher\n")
        elif verse.verse == 1 or verse.verse % 4 == verse.chapter % 3:
            close_paragraph()
        paragraph.append(f"{verse.chapter}:{verse.verse} {verse.text}")
        if (book, verse.chapter, verse.verse) == ("Revelation", 22, 20):
            before, after = paragraph.pop().split(" Even so")
            paragraph.append(before)
            close_paragraph()
            paragraph.append(f"Even so{after}")
    close_paragraph()
    return "\n".join(
        [
            "\ufeffThe Project Gutenberg eBook of The King James Version of the Bible\n",
            "*** START OF THE PROJECT GUTENBERG EBOOK THE KING JAMES VERSION OF THE BIBLE ***\n",
            "The Old Testament of the King James Version of the Bible",
            *GUTENBERG_TITLES.values(),
            "\n",
            *body,
            "*** END OF THE PROJECT GUTENBERG EBOOK THE KING JAMES VERSION OF THE BIBLE ***\n",
            "1:1 Section 1. General Terms of Use",
        ]
    )
