"""Fixtures of all components' tests."""

from ingested import (  # noqa: F401  fixtures
    chapters,
    ingest,
    reviews,
    write_folder,
    write_reviews,
    write_verses,
)
