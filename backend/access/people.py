"""Who may do what, as an administrator says: a list in the home, which comes before what a sign-in claims.

Every change makes a new version of the list, and names the one that it was made of: of two people who change it at once,
the second is told so.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from backend.access.asking import asking
from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import ChangedMeanwhile, SettingsError
from backend.files.locking import lock_beside, locked
from backend.files.plain_files import stamp_of
from backend.files.storage import write_atomically
from backend.files.typed_json import built, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from backend.settings import Settings

PEOPLE_FILE = "people.json"
LONGEST = 200  # characters of a name
_FORMAT = 1
NO_ROLE = "none"


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody in the list.

    Attributes:
        name: As the sign-in has it.
        role: Name of the role; empty for somebody who may do nothing, whatever a sign-in claims.
        by: Who said so.
        at: ISO time in UTC.
    """

    name: str
    role: str
    by: str
    at: str

    @property
    def may_be(self) -> Role | None:
        """The role."""
        return Role.named(self.role)


@dataclass(frozen=True, slots=True)
class Listed:
    """The list at one version, which counts its changes; ascending by name."""

    version: int = 0
    people: tuple[Entry, ...] = field(default=())

    def get(self, name: str) -> Entry | None:
        """Return somebody, in any case of letters."""
        return next((one for one in self.people if _same(one.name) == _same(name)), None)


@dataclass(frozen=True, slots=True)
class _File:
    format: int
    version: int
    people: tuple[Entry, ...]


class People:
    """The list of one home; changes made by another process count from the next question on.

    Args:
        home: Its folder.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / PEOPLE_FILE
        self._stamp: tuple[int, ...] | None = None
        self._listed = Listed()

    def listed(self) -> Listed:
        """Return the list as it is now.

        Raises:
            SettingsError: The file is damaged, or a newer Twinset's: then nobody of it may do anything.
        """
        stamp = stamp_of(self._path)
        if stamp != self._stamp:
            self._listed, self._stamp = self._read(), stamp
        return self._listed

    @use_case("people.set", Role.ADMIN, about=lambda _self, name, role, **_: words(person=name, role=role))
    def set(self, name: str, role: str, *, seen: int) -> Listed:
        """Give somebody a role, ``none`` to take away every role.

        Args:
            name: As the sign-in has it: an e-mail address, or an account.
            role: Name of a role, or ``none``.
            seen: Version of the list that the change was made of.

        Raises:
            ChangedMeanwhile: The list was changed since.
            SettingsError: The name or the role cannot be used, or no administrator would be left.
        """
        found = Role.named(role)
        if found is None and role != NO_ROLE:
            known = ", ".join(one.title for one in Role)
            raise SettingsError(f"There is no role {role[:40]!r}.", next_step=f"Roles are {known}, and {NO_ROLE}.")
        name = unicodedata.normalize("NFC", name).strip()
        if not name or len(name) > LONGEST or not name.isprintable():
            raise SettingsError(
                f"A name has 1 to {LONGEST} printable characters.", next_step="For example ada@shop.example."
            )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return self._change(name, Entry(name, found.title if found else "", asking().person.name, now), seen)

    @use_case("people.remove", Role.ADMIN, about=lambda _self, name, **_: words(person=name))
    def remove(self, name: str, *, seen: int) -> Listed:
        """Take somebody out of the list: what a sign-in claims counts again, and their tokens are void.

        Raises:
            ChangedMeanwhile: The list was changed since.
            SettingsError: They are not in it, or no administrator would be left.
        """
        return self._change(name, None, seen)

    def _change(self, name: str, entry: Entry | None, seen: int) -> Listed:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with locked(lock_beside(self._path)):
            before = self._read()
            if before.version != seen:
                raise ChangedMeanwhile(
                    "The list of people was changed by another administrator in the meantime.",
                    next_step="Nothing was changed. Read the list again, then repeat your change.",
                )
            if entry is None and before.get(name) is None:
                raise SettingsError(f"{name} is not in the list of people.", next_step="Check the name.")
            others = [one for one in before.people if _same(one.name) != _same(name)]
            after = sorted([*others, *([entry] if entry else [])], key=lambda one: _same(one.name))
            if _has_admin(before.people) and not _has_admin(after):
                raise SettingsError(
                    f"{name} is the last administrator in the list.",
                    next_step="Make another person an administrator first.",
                )
            listed = Listed(before.version + 1, tuple(after))
            write_atomically(self._path, json.dumps({"format": _FORMAT, **asdict(listed)}, indent=1).encode())
        return listed

    def _read(self) -> Listed:
        try:
            file = _checked(built(_File, parsed(self._path.read_bytes()), "the list"))
        except FileNotFoundError:
            return Listed()
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise SettingsError(
                f"The list of people {self._path} cannot be read: {error}.",
                next_step="Restore it from a backup, or update Twinset if a newer one wrote it.",
            ) from error
        return Listed(file.version, file.people)


@lru_cache(maxsize=8)
def people_of(home: Path) -> People:
    """Return the list of a home, which this process then need not read time and again."""
    return People(home)


def role_of(settings: Settings, name: str, claimed: Iterable[str] = ()) -> Role | None:
    """Return somebody's role: the one in the list, else the highest that their sign-in claims, else the default one.

    Raises:
        SettingsError: The list cannot be read.
    """
    entry = people_of(settings.home).listed().get(name)
    if entry is not None:
        return entry.may_be
    roles = [role for role in map(Role.named, claimed) if role is not None]
    return max(roles) if roles else Role.named(settings.default_role)


def _checked(file: _File) -> _File:
    if file.format != _FORMAT or any(one.role and one.may_be is None for one in file.people):
        raise ValueError("it has another format, or an unknown role")
    return file


def _same(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _has_admin(people: Iterable[Entry]) -> bool:
    return any(one.may_be is Role.ADMIN for one in people)
