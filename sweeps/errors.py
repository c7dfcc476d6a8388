"""Error of a sweep whose request was right."""

from __future__ import annotations


class Unfinished(Exception):
    """A sweep ended with something left to do: one line with the reason. What is done is kept, and can be continued.

    The command line prints it and exits with 1.
    """


class StudyLost(Exception):
    """The search's storage cannot be written or read any more, in one line: for the recorder, which ends the sweep."""
