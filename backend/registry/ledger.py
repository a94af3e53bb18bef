"""What the registry holds, as a file in the home: screens read it, and need no MLflow for that.

MLflow has the truth; whoever changes something there through Twinset writes this file again. It can be deleted.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from backend.errors import RegistryError
from backend.files.storage import write_atomically
from backend.registry.card import ModelCard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEDGER = "registry.json"
CHAMPION, CHALLENGER = "champion", "challenger"
Action = Literal["promote", "rollback"]
_FORMAT = 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check:
    """One question that the gate asked about a version; ``says`` is the answer in a sentence."""

    name: str
    passed: bool
    says: str


@dataclass(frozen=True, slots=True)
class Event:
    """An alias moved.

    Attributes:
        at: ISO time.
        action: Whether it moved on, or back.
        alias, version: The alias, and the version it has pointed to since.
        before: The version it pointed to before; None for none.
        reason: Why the gate was overridden; empty if it was not.
    """

    at: str
    action: Action
    alias: str
    version: int
    before: int | None
    reason: str = ""

    @classmethod
    def from_json(cls, text: str) -> Event:
        """Read it back.

        Raises:
            RegistryError: It is none.
        """
        found = _parsed(lambda: cls(**json.loads(text)))
        numbers = (found.version,) if found.before is None else (found.version, found.before)
        texts = (found.at, found.action, found.alias, found.reason)
        if not all(type(one) is int for one in numbers) or not all(isinstance(one, str) for one in texts):
            raise _unreadable()
        return found


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One version of the registered model.

    ``checks`` is what the gate last said about it; ``refused`` says why it is not served, if it is not ours.
    """

    version: int
    model: str
    aliases: tuple[str, ...]
    registered_at: str
    run_id: str
    card: ModelCard | None
    checks: tuple[Check, ...] = ()
    reason: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """All versions, newest first, and how the aliases moved, newest first."""

    name: str
    versions: tuple[RegisteredVersion, ...] = ()
    events: tuple[Event, ...] = ()

    def at(self, alias: str) -> RegisteredVersion | None:
        """Return the version that an alias is at."""
        return next((one for one in self.versions if alias in one.aliases), None)

    def replaced_by(self, catalogue: str) -> str:
        """Return the catalogue that is no longer searched once a model of this one is champion; empty if none is."""
        champion = self.at(CHAMPION)
        searched = champion.card.catalogue.name if champion is not None and champion.card is not None else ""
        return searched if searched != catalogue else ""

    def version(self, number: int) -> RegisteredVersion:
        """Return a version by its number.

        Raises:
            RegistryError: There is none.
        """
        found = next((one for one in self.versions if one.version == number), None)
        if found is None:
            known = ", ".join(str(one.version) for one in self.versions[:10]) or "none yet"
            raise RegistryError(f"{self.name} has no version {number}.", next_step=f"Versions are: {known}.")
        return found

    def previous(self, alias: str) -> int | None:
        """Return the version that an alias goes back to: the one in whose place the present one came."""
        return previous_version(self.events, alias)


def previous_version(events: tuple[Event, ...], alias: str) -> int | None:
    """Return what a rollback brings back; ``events`` newest first.

    Example:
        >>> moved = [Event("t", "promote", "champion", v, b) for v, b in ((1, None), (2, 1), (3, 2))]
        >>> back = Event("t", "rollback", "champion", 2, 3)
        >>> previous_version(tuple(reversed(moved)), "champion"), previous_version((back, *reversed(moved)), "champion")
        (2, 1)
    """
    stood: list[int] = []
    for event in reversed(events):
        if event.alias != alias:
            continue
        if event.action == "rollback":
            while stood and stood[-1] != event.version:
                stood.pop()
        elif event.before is not None and stood[-1:] != [event.before]:
            stood.append(event.before)  # it was moved by somebody else, or before moves were noted
        if stood[-1:] != [event.version]:
            stood.append(event.version)
    return stood[-2] if len(stood) > 1 else None


def read_ledger(home: Path, name: str) -> Ledger:
    """Read what was last known of the registered model; empty before anything was registered.

    Raises:
        RegistryError: The file is damaged.
    """
    path = home / LEDGER
    if not path.is_file():
        return Ledger(name)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        found = _read(raw)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RegistryError(
            f"{LEDGER} is damaged.", next_step="Recreate it: `python -m backend models list`."
        ) from error
    return found if found.name == name else Ledger(name)


def write_ledger(home: Path, ledger: Ledger) -> None:
    """Write what is known now."""
    write_atomically(home / LEDGER, json.dumps({"format": _FORMAT, **asdict(ledger)}, indent=1).encode())


def checks_from_json(text: str) -> tuple[Check, ...]:
    """Read what the gate said.

    Raises:
        RegistryError: It is something else.
    """
    return _parsed(lambda: tuple(Check(str(c["name"]), bool(c["passed"]), str(c["says"])) for c in json.loads(text)))


def _parsed(read: Callable[[], T]) -> T:
    try:
        return read()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _unreadable() from error


def _unreadable() -> RegistryError:
    return RegistryError("The registry's record of a version is damaged.", next_step="Deploy the model again.")


def _read(raw: dict[str, Any]) -> Ledger:
    return Ledger(
        name=raw["name"],
        versions=tuple(_version(item) for item in raw["versions"]),
        events=tuple(Event(**item) for item in raw["events"]),
    )


def _version(item: dict[str, Any]) -> RegisteredVersion:
    return RegisteredVersion(
        **{
            **item,
            "aliases": tuple(item["aliases"]),
            "card": None if item["card"] is None else ModelCard.from_dict(item["card"]),
            "checks": tuple(Check(**check) for check in item["checks"]),
        }
    )
