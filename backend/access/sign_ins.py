"""Who is signed in to the app: one-time addresses and sessions, kept only as hashes, each with an end.

Secrets are 256 random bits, as those of :mod:`backend.serving.tokens`. What a secret opens is written in a file that only
the home's owner can read, so that a session outlives the app's process, and ends when another process says so.
"""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from backend.errors import AccessDenied, SettingsError
from backend.files.locking import lock_beside, locked
from backend.files.plain_files import stamp_of
from backend.files.secret import SecretStr, hashed
from backend.files.storage import write_atomically
from backend.files.typed_json import built, parsed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backend.settings import Settings

# Hidden, so that no backup has it: restored, it would open again what was ended since.
SIGN_INS_FILE = ".sign-ins.json"
ADDRESS_HOURS = 1.0
OF_LIST = "listed"  # as a role: whatever the list of people says, and nothing without it
_FORMAT = 1
_RANDOM_BYTES = 32
_KINDS, _MOST = ("addresses", "sessions"), 20  # of one person, the newest: who signs in again and again fills no disk
_NO_ADDRESS = "This sign-in address has been used, or has expired."
_NEXT_ADDRESS = "Each address works once, for one hour. Ask your Twinset administrator for a new one."


@dataclass(frozen=True, slots=True)
class Entry:
    """What one secret opens.

    Attributes:
        sha256: Of the secret, which is kept nowhere.
        name: Of the person.
        role: As the sign-in gave it; empty where it gave none, ``OF_LIST`` for somebody who must be on the list of people.
        expires_at: ISO time from which on it opens nothing.
    """

    sha256: str
    name: str
    role: str
    expires_at: str

    def __post_init__(self) -> None:
        """Refuse what is damaged: it must not become a session that never ends."""
        self.is_over(datetime.now(UTC))

    def is_over(self, now: datetime) -> bool:
        """Whether its time is over."""
        return now >= datetime.fromisoformat(self.expires_at)


@dataclass(frozen=True, slots=True)
class _File:
    format: int
    addresses: tuple[Entry, ...]
    sessions: tuple[Entry, ...]

    def __post_init__(self) -> None:
        if self.format != _FORMAT:
            raise ValueError("another format")


class SignIns:
    """Addresses that can be opened once, and sessions; what another process changes counts from the next question on.

    Args:
        path: The file.
        now: What time it is.
    """

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path, self._now = path, now
        self._seen: tuple[tuple[int, ...], tuple[Entry, ...]] = ((), ())

    def issue(self, name: str, role: str) -> SecretStr:
        """Return the secret of a new one-time address for a person."""
        return self._add("addresses", name, role, ADDRESS_HOURS)

    def begin(self, name: str, role: str, hours: float) -> SecretStr:
        """Return the secret of a new session of a person."""
        return self._add("sessions", name, role, hours)

    def use(self, secret: str) -> Entry:
        """Return whose one-time address this is, which it is no longer.

        Raises:
            AccessDenied: It is no address, was used, or its time is over.
        """
        with locked(lock_beside(self._path)):
            kept = self._read()
            found = _match(kept.addresses, secret)
            if found is not None:
                self._write(replace(kept, addresses=tuple(one for one in kept.addresses if one != found)))
        if found is None or found.is_over(self._now()):
            raise AccessDenied(_NO_ADDRESS, next_step=_NEXT_ADDRESS)
        return found

    def find(self, secret: str) -> Entry | None:
        """Return whose session this is; None where it is no session, or one that has ended."""
        stamp = stamp_of(self._path)
        if stamp != self._seen[0]:
            self._seen = (stamp, self._read().sessions)
        found = _match(self._seen[1], secret)
        return None if found is None or found.is_over(self._now()) else found

    def end(self, secret: str) -> None:
        """End a session."""
        with locked(lock_beside(self._path)):
            kept = self._read()
            found = _match(kept.sessions, secret)
            self._write(replace(kept, sessions=tuple(one for one in kept.sessions if one != found)))

    def _add(self, kind: str, name: str, role: str, hours: float) -> SecretStr:
        secret = secrets.token_urlsafe(_RANDOM_BYTES)
        until = self._now() + timedelta(hours=hours)
        added = Entry(hashed(secret), name, role, until.isoformat(timespec="seconds"))
        with locked(lock_beside(self._path)):
            kept = self._read()
            before: tuple[Entry, ...] = getattr(kept, kind)
            dropped = [one for one in before if one.name == name][: 1 - _MOST]
            changed: Any = {kind: (*(one for one in before if one not in dropped), added)}
            self._write(replace(kept, **changed))
        return SecretStr(secret)

    def _write(self, kept: _File) -> None:
        """Replace the file, without what is over; temporary files are made with mode 0600."""
        now = self._now()
        lasting: Any = {kind: tuple(one for one in getattr(kept, kind) if not one.is_over(now)) for kind in _KINDS}
        write_atomically(self._path, json.dumps(asdict(replace(kept, **lasting)), indent=1).encode())

    def _read(self) -> _File:
        try:
            return cast("_File", built(_File, parsed(self._path.read_bytes()), "the list"))
        except FileNotFoundError:
            return _File(_FORMAT, (), ())
        except (ValueError, TypeError, RecursionError) as error:
            raise SettingsError(
                f"{self._path.name} is not readable as a list of sessions.",
                next_step=f"Delete {self._path}; everyone then signs in again.",
            ) from error


def _match(entries: tuple[Entry, ...], secret: str) -> Entry | None:
    """Compare every entry in constant time."""
    wanted = hashed(secret)
    found: Entry | None = None
    for entry in entries:
        if hmac.compare_digest(entry.sha256, wanted):
            found = entry
    return found


def sign_ins(settings: Settings) -> SignIns:
    """Who is signed in to the app of a home."""
    return SignIns(settings.home / SIGN_INS_FILE)
