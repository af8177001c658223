"""Bodies of commands; pipeline/cli.py has their options."""
