"""Measurements for the page that no stage makes."""
