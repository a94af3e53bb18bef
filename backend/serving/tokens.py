"""Bearer tokens: made here, shown once, kept only as hashes.

A token is 256 random bits, so that its SHA-256 cannot be turned back by guessing; the slow hashes made for passwords,
which people choose, would only slow down every request.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backend.bundle import write_atomically
from backend.errors import SettingsError
from backend.settings import SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.settings import Settings

APP = "app"
TOKENS_FILE, APP_TOKEN_FILE = "tokens.json", "app-token"
_FORMAT = 1
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A token as it is kept: who has it, since when, and the SHA-256 of it."""

    name: str
    created_at: str
    sha256: str


class TokenStore:
    """The tokens an endpoint accepts, in a JSON file that only its owner can read.

    Changes made by another process count from the next question on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._entries: tuple[TokenEntry, ...] = ()

    def issue(self, name: str) -> SecretStr:
        """Make a token for a name and return it, this once; a token that the name had before is void."""
        token = secrets.token_urlsafe(_RANDOM_BYTES)
        self._replace(name, TokenEntry(name, datetime.now(UTC).isoformat(timespec="seconds"), _hash(token)))
        return SecretStr(token)

    def revoke(self, name: str) -> None:
        """Void the token of a name; without one, nothing happens."""
        self._replace(name, None)

    def names(self) -> tuple[str, ...]:
        """Names that have a token."""
        return tuple(entry.name for entry in self._current())

    def verify(self, text: str) -> str | None:
        """Return the name whose token this is, or None; every entry is compared, in constant time."""
        hashed = _hash(text)
        found: str | None = None
        for entry in self._current():
            if hmac.compare_digest(entry.sha256, hashed):
                found = entry.name
        return found

    def _replace(self, name: str, entry: TokenEntry | None) -> None:
        with _locked(self._path):
            kept = [other for other in self._read() if other.name != name] + ([entry] if entry else [])
            tokens = [{"name": e.name, "created_at": e.created_at, "sha256": e.sha256} for e in kept]
            write_private(self._path, json.dumps({"format": _FORMAT, "tokens": tokens}, indent=2))

    def _current(self) -> tuple[TokenEntry, ...]:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._entries, self._stamp = self._read(), stamp
        return self._entries

    def _read(self) -> tuple[TokenEntry, ...]:
        try:
            raw = json.loads(self._path.read_text(encoding="utf-8"))
            return tuple(TokenEntry(**item) for item in raw["tokens"])
        except FileNotFoundError:
            return ()
        except (ValueError, TypeError, KeyError) as error:
            raise SettingsError(
                f"{self._path.name} is not readable as a list of tokens.",
                next_step=f"Delete {self._path}; new tokens are made on the next start.",
            ) from error


def token_store(settings: Settings) -> TokenStore:
    """The tokens of the local endpoint."""
    return TokenStore(settings.home / TOKENS_FILE)


def ensure_app_token(settings: Settings) -> SecretStr:
    """Return the token of the local app, made on first use; the setting ``endpoint_token`` wins.

    The app needs the token itself, so that it lies in the home folder in a file that only the owner can read. Should
    the endpoint not know it, or the file be gone, a new one is made.
    """
    if settings.endpoint_token:
        return settings.endpoint_token
    settings.home.mkdir(parents=True, exist_ok=True)
    path, store = settings.home / APP_TOKEN_FILE, token_store(settings)
    with _locked(path):
        token = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        if not token or store.verify(token) != APP:
            token = store.issue(APP).reveal()
            write_private(path, token)
    return SecretStr(token)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically: temporary files are made with mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return (status.st_ino, status.st_mtime_ns, status.st_size)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time read and replace a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
