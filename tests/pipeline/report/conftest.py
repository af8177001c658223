"""Fixtures of the report's tests."""

from ingested import chapters, ingest, reviews, write_reviews, write_verses  # noqa: F401  fixtures
