"""The pipeline: its stages in the order in which data flows, its runners, its command line."""
