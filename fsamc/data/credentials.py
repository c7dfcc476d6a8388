"""Passwords and keys in an address: addresses are kept with the results, and may hold none."""

from __future__ import annotations

import re

# A user's password; digits up to a slash are a port.
_USER = r"://[^:/@]*:(?!\d*(?:/|$))[^@]+@"
_NAMED = r"[?&;][^=&;]*(?:passw|secret|token|credential|(?:access|account|api)_?key|\bsig\b)[^=&;]*=[^&;]"


def holds_secret(address: str) -> bool:
    """Whether a URI holds a password or a key in plain words; `${NAME}`, an environment variable, is none."""
    plain = re.sub(r"\$\{\w+\}", "", address)
    return re.search(f"{_USER}|{_NAMED}", plain, re.IGNORECASE) is not None
