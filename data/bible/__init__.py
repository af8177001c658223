"""The King James Bible: its formats, books and normal form."""
