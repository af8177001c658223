"""What the page shows and no stage measured."""
