"""Errors that a user can fix: the command line prints them on one line, without a traceback."""


class UserError(Exception):
    """A one-line message: what is wrong, where, what was expected, and what to do."""


class DataError(UserError):
    """A mistake in the data that its owner can fix."""
