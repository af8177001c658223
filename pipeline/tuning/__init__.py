"""Tuner: the search for better settings of a training."""
