"""Fixtures of the report's tests."""

from ingested import ingest, reviews, write_reviews  # noqa: F401  fixtures
