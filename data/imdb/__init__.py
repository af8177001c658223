"""Film reviews: their formats and task."""
