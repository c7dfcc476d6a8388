"""Passwords, keys and tokens in an address: addresses are kept with the results, and may hold none."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

# Where a user's name is a name: a database or HDFS asks for a password beside it. Elsewhere it may be a token.
_ASKS_FOR_A_PASSWORD = r"(?:hdfs|viewfs|postgres\w*|cockroachdb|redshift|mysql|mariadb|mssql|oracle)(?:\+\w+)?"
_NAMED = (
    r"(?:[^=&;#?\s]*(?:passw|passphrase|pwd|secret|token|credential|signature|authori[sz]ation|bearer|cookie"
    r"|(?:access|api|account|auth)[^=&;#?\s]?key)[^=&;#?\s]*"
    r"|(?!ssl_?key=)[^=&;#?\s]*(?:key|key[-_.]?id|auth|pass|jwt|session[-_.]?id)|(?:[^=&;#?\s]*[-_.])?(?:sig|sas|pw|pat|code))"
)
_SECRETS = (
    # A user's password, where digits up to what ends a host are a port.
    re.compile(r"(?P<before>://[^:/@]*:)(?!\d*(?:[/?#:;,)\s]|$)).+(?=@)", re.IGNORECASE),
    # A user's name, where no password goes with it.
    re.compile(
        rf"(?<![\w+.-])(?!{_ASKS_FOR_A_PASSWORD}://|gs://anonymous@)(?P<before>[a-z][\w+.-]*://)[^/?#@\s]+(?=@)",
        re.IGNORECASE,
    ),
    # The value of what is named like a secret.
    re.compile(rf"(?P<before>[?&;#]{_NAMED}=)[^&;#]+", re.IGNORECASE),
)
_ENCODED = re.compile(r"\S*%[0-9a-f]{2}\S*", re.IGNORECASE)


def holds_secret(address: str) -> bool:
    """Return whether a URI holds a password, a key or a token in plain words.

    `${NAME}`, an environment variable, is none.
    """
    plain = re.sub(r"\$\{\w+\}", "", address)
    return hide_secrets(plain) != plain


def hide_secrets(text: str) -> str:
    """Replace the passwords, keys and tokens of the addresses in a text by `***`."""
    shown = _hidden(text)
    decoded = unquote(shown)
    return _ENCODED.sub("***", shown) if _hidden(decoded) != decoded else shown


def hide_secrets_in(tree: Any) -> Any:
    """Return what JSON holds with the secrets of all its texts hidden."""
    match tree:
        case str():
            return hide_secrets(tree)
        case dict():
            return {key: hide_secrets_in(value) for key, value in tree.items()}
        case list():
            return [hide_secrets_in(value) for value in tree]
    return tree


def secret_texts(tree: Any) -> list[str]:
    """List the texts in what JSON holds that hold a secret, the longest first."""
    match tree:
        case str():
            return [tree] if hide_secrets(tree) != tree else []
        case dict() | list():
            within = tree.values() if isinstance(tree, dict) else tree
            return sorted({text for value in within for text in secret_texts(value)}, key=len, reverse=True)
    return []


def _hidden(text: str) -> str:
    for secret in _SECRETS:
        text = secret.sub(lambda match: f"{match['before']}***", text)
    return text
