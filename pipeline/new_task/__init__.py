"""Looks at a text of one's own, and writes a task's files for it.

asked -> columns.chosen -> inspection.inspect -> baselines, sizing -> task_toml, schema -> files
"""
