"""The one error that users can mend."""

from __future__ import annotations


class BadInput(ValueError):
    """What the user gave cannot be used: one line with the rule, what was found and the remedy.

    The command line prints it and exits with 2. Raised before work starts and nothing is written.
    """
