"""Bearer tokens: made here, shown once, kept only as hashes; each with a name, a scope, and perhaps an end.

When a token was last used is kept to the minute, in a file beside them: a request must not wait for a disk.

A token is 256 random bits, so that its SHA-256 cannot be turned back by guessing; the slow hashes made for passwords,
which people choose, would only slow down every request.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from backend.access.asking import asking
from backend.access.edges import account
from backend.access.people import People
from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import SettingsError
from backend.files.locking import lock_beside, locked
from backend.files.plain_files import stamp_of
from backend.files.secret import hashed
from backend.files.storage import write_atomically
from backend.settings import SecretStr

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backend.settings import Settings

Scope = Literal["watch", "ask", "all"]
SCOPES: tuple[Scope, ...] = get_args(Scope)  # each may do what those before it may
APP = "app"
TOKENS_FILE, USED_FILE, APP_TOKEN_FILE = "tokens.json", "tokens-used.json", "app-token"
MAX_DAYS = 3650
_FORMAT = 2  # 1 did not say whose a token is
_RANDOM_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A token as it is kept.

    Attributes:
        name: Who has it.
        created_at: ISO time.
        sha256: Of the token; the token itself is kept nowhere.
        scope: What it may do: ``watch`` reads health, version and counts, ``ask`` also asks for products, ``all`` also
            has the endpoint take up another model.
        expires_at: ISO time from which on it is void; empty for never.
        person: Who issued it, and whose role it falls with; empty for the account that owns the home.
        was_listed: Whether they were in the list of people then, so that it is void once they are not.
    """

    name: str
    created_at: str
    sha256: str
    scope: Scope = "all"
    expires_at: str = ""
    person: str = ""
    was_listed: bool = False

    def may(self, needed: Scope) -> bool:
        """Whether its scope covers another."""
        return SCOPES.index(self.scope) >= SCOPES.index(needed)

    def is_void(self, now: datetime) -> bool:
        """Whether its time is over."""
        return bool(self.expires_at) and now >= datetime.fromisoformat(self.expires_at)


class TokenStore:
    """The tokens an endpoint accepts, in a JSON file that only its owner can read.

    Changes made by another process count from the next question on, those of the list of people beside it, too.

    Args:
        path: The file.
        now: What time it is.
        default_role: Role of people who have none otherwise; empty for none.
    """

    def __init__(
        self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC), default_role: str = ""
    ) -> None:
        self._path, self._now, self._default_role = path, now, default_role
        self._people = People(path.parent)
        self._used_path = path.with_name(USED_FILE)
        self._stamp: tuple[int, ...] = ()
        self._entries: tuple[TokenEntry, ...] = ()
        self._noted: dict[str, datetime] = {}

    @use_case(
        "tokens.issue",
        Role.ADMIN,
        about=lambda _self, name, *, scope="all", days=None: words(token=name, scope=scope, days=days),
    )
    def issue(self, name: str, *, scope: Scope = "all", days: float | None = None) -> SecretStr:
        """Make a token for a name and return it, this once; a token that the name had before is void.

        Args:
            name: Who gets it: letters, digits, dots, dashes, at most 60.
            scope: What it may do.
            days: How long it is good for; None means until it is revoked.

        Raises:
            SettingsError: Name, scope or days cannot be used.
        """
        person = asking().person.name
        if person == account():
            return self.make(name, scope=scope, days=days)
        is_listed = self._people.listed().get(person) is not None
        return self.make(name, scope=scope, days=days, person=person, was_listed=is_listed)

    def make(
        self, name: str, *, scope: Scope = "all", days: float | None = None, person: str = "", was_listed: bool = False
    ) -> SecretStr:
        """Make a token as :meth:`issue` does, for the app itself, or for a person; raises SettingsError."""
        if not _NAME.fullmatch(name):
            raise SettingsError(
                "A token's name may have up to 60 letters, digits, dots and dashes.",
                next_step="For example `web-shop`.",
            )
        if scope not in SCOPES:
            raise SettingsError(f"A token's scope must be one of {', '.join(SCOPES)}.", next_step="For example `ask`.")
        if days is not None and not 0 < days <= MAX_DAYS:
            raise SettingsError(f"A token is valid for at most {MAX_DAYS} days.", next_step="For example 90.")
        token, now = secrets.token_urlsafe(_RANDOM_BYTES), self._now()
        until = "" if days is None else _iso(now + timedelta(days=days))
        self._replace(name, TokenEntry(name, _iso(now), hashed(token), scope, until, person, was_listed))
        return SecretStr(token)

    @use_case("tokens.revoke", Role.ADMIN, about=lambda _self, name: words(token=name))
    def revoke(self, name: str) -> bool:
        """Void the token of a name; returns whether there was one."""
        known = any(entry.name == name for entry in self._current())
        self._replace(name, None)
        return known

    def entries(self) -> tuple[TokenEntry, ...]:
        """All tokens, those whose time is over, too."""
        return self._current()

    def names(self) -> tuple[str, ...]:
        """Names that have a token that is good now."""
        return tuple(entry.name for entry in self._current() if self._is_good(entry))

    def find(self, text: str) -> TokenEntry | None:
        """Return whose token this is, if it is good now; every entry is compared, in constant time."""
        wanted = hashed(text)
        found: TokenEntry | None = None
        for entry in self._current():
            if hmac.compare_digest(entry.sha256, wanted):
                found = entry
        return None if found is None or not self._is_good(found) else found

    def _is_good(self, entry: TokenEntry) -> bool:
        """Whether its time is not over, and whoever issued it still has a role."""
        if entry.is_void(self._now()):
            return False
        if not entry.person:
            return True
        listed = self._people.listed().get(entry.person)
        if listed is not None:
            return listed.may_be is not None
        return not entry.was_listed or bool(self._default_role)

    def verify(self, text: str) -> str | None:
        """Return the name whose token this is, or None."""
        found = self.find(text)
        return None if found is None else found.name

    def is_use_due(self, name: str) -> bool:
        """Whether the use of a token was not noted in the last minute."""
        noted = self._noted.get(name)
        return noted is None or self._now() - noted >= _NOTED_EVERY

    def note_use(self, name: str) -> None:
        """Note that the token of a name was used now."""
        now = self._noted[name] = self._now()
        with locked(lock_beside(self._used_path)):
            write_private(self._used_path, json.dumps({**self.last_used(), name: _iso(now)}, indent=2))

    def last_used(self) -> dict[str, str]:
        """When the token of each name was last used, ISO times; a name whose token was never used is missing."""
        try:
            raw = json.loads(self._used_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise _unreadable(self._used_path) from error
        return {str(name): str(when) for name, when in raw.items()}

    def _replace(self, name: str, entry: TokenEntry | None) -> None:
        with locked(lock_beside(self._path)):
            kept = [other for other in self._read() if other.name != name] + ([entry] if entry else [])
            tokens = [asdict(one) for one in kept]
            write_private(self._path, json.dumps({"format": _FORMAT, "tokens": tokens}, indent=2))
        self._noted.pop(name, None)
        with locked(lock_beside(self._used_path)):
            used = self.last_used()
            if used.pop(name, None):
                write_private(self._used_path, json.dumps(used, indent=2))

    def _current(self) -> tuple[TokenEntry, ...]:
        stamp = stamp_of(self._path)
        if stamp != self._stamp:
            self._entries, self._stamp = self._read(), stamp
        return self._entries

    def _read(self) -> tuple[TokenEntry, ...]:
        try:
            raw = json.loads(self._path.read_text(encoding="utf-8"))
            return tuple(_entry(item) for item in raw["tokens"])
        except FileNotFoundError:
            return ()
        except (ValueError, TypeError, KeyError) as error:
            raise _unreadable(self._path) from error


def _entry(item: dict[str, Any]) -> TokenEntry:
    """Read one token; what is damaged must not become a token that never ends or may do everything."""
    entry = TokenEntry(**item)
    SCOPES.index(entry.scope)
    entry.is_void(datetime.now(UTC))
    return entry


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _unreadable(path: Path) -> SettingsError:
    return SettingsError(
        f"{path.name} is not readable as a list of tokens.",
        next_step=f"Delete {path}; new tokens are created on the next start.",
    )


def token_store(settings: Settings) -> TokenStore:
    """The tokens of the local endpoint."""
    return TokenStore(settings.home / TOKENS_FILE, default_role=settings.default_role)


def ensure_app_token(settings: Settings) -> SecretStr:
    """Return the token of the local app, made on first use; the setting ``endpoint_token`` wins.

    The app needs the token itself, so that it is in the home folder in a file that only the owner can read. Should
    the endpoint not know it, or the file be gone, a new one is made.
    """
    if settings.endpoint_token:
        return settings.endpoint_token
    settings.home.mkdir(parents=True, exist_ok=True)
    path, store = settings.home / APP_TOKEN_FILE, token_store(settings)
    with locked(lock_beside(path)):
        token = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        if not token or store.verify(token) != APP:
            token = store.make(APP).reveal()
            write_private(path, token)
    return SecretStr(token)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically: temporary files are made with mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
