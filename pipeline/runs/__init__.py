"""Past and present runs: the only package that reads ML Metadata."""
