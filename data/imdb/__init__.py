"""Film reviews: their formats and normal form."""
