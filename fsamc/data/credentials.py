"""Passwords and keys in an address: addresses are kept with the results, and may hold none."""

from __future__ import annotations

import re

# A user's password, where digits up to a slash are a port; and the value of what is named like a secret.
_SECRET = re.compile(
    r"(?P<user>://[^:/@]*:)(?!\d*(?:/|$))[^@]+(?=@)"
    r"|(?P<name>[?&;][^=&;]*(?:passw|secret|token|credential|(?:access|account|api)_?key|\bsig\b)[^=&;]*=)[^&;]+",
    re.IGNORECASE,
)


def holds_secret(address: str) -> bool:
    """Return whether a URI holds a password or a key in plain words; `${NAME}`, an environment variable, is none."""
    return _SECRET.search(re.sub(r"\$\{\w+\}", "", address)) is not None


def hide_secrets(text: str) -> str:
    """Replace the passwords and keys of the addresses in a text by `***`."""
    return _SECRET.sub(lambda secret: f"{secret['user'] or secret['name']}***", text)
