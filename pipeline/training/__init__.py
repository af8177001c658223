"""Trainer: token ids to a trained model, by one process or several."""
