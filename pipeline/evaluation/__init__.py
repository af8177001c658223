"""Evaluator: metrics, their confidence intervals, thresholds and the verdict."""
