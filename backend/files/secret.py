"""Texts that nobody should see by accident."""

from __future__ import annotations

import hashlib


class SecretStr:
    """A text that shows itself only when asked by name; ``repr`` and ``str`` are masked."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "SecretStr('**********')" if self._value else "SecretStr('')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def hashed(secret: str) -> str:
    """Return the SHA-256 of a secret of many random bits, in hexadecimal digits: what may be kept of it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
