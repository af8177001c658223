"""Uses of pushed models: predict, score, run over files, roll back."""
