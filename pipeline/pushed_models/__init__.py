"""Models that were pushed: asked, scored, run over files, rolled back."""
