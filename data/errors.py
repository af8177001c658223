"""What a user can mend: the command line prints these on one line, without a traceback."""


class UserError(Exception):
    """Says what was wrong, where, what was expected and what to do, on one line."""
