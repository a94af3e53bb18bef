"""Rules that somebody is changing: kept as what differs from the version that they began with, until they publish it.

There is one draft for each catalogue and person, in a file of its own, so that it survives a restart and nobody's changes
reach an answer before they are published.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.access.person import Role
from backend.access.use_case import use_case
from backend.errors import ChangedMeanwhile, RetrievalError
from backend.files.locking import lock_beside, locked
from backend.files.plain_files import read_plain
from backend.files.storage import write_atomically
from backend.files.typed_json import built, parsed
from backend.merchandising.merging import Difference, by_id, difference
from backend.retrieval.rules.rule import MAX_TEXT
from backend.retrieval.rules.rule_set import as_plain, from_plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from backend.merchandising.rule_store import RuleStore
    from backend.retrieval.rules.rule import Rule
    from backend.retrieval.rules.rule_set import RuleSet

_MOST_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody changed and did not publish yet.

    Attributes:
        person: Whose it is.
        base: Version of the rules that it began with.
        put: Rules that are new or different.
        removed: Ids of rules that are gone.
        saved_at: ISO time in UTC; empty where it was never saved.
        revision: Counts its savings, so that a second window does not overwrite what it has not seen.
    """

    person: str
    base: int
    put: tuple[Rule, ...] = ()
    removed: tuple[str, ...] = ()
    saved_at: str = ""
    revision: int = 0

    def __bool__(self) -> bool:
        return bool(self.put or self.removed)

    def rules(self, base: RuleSet) -> tuple[Rule, ...]:
        """Return all rules as they would be, ascending by id."""
        kept = {name: rule for name, rule in by_id(base.rules).items() if name not in self.removed}
        return tuple(rule for _, rule in sorted({**kept, **by_id(self.put)}.items()))

    def of(self, rules: Iterable[Rule], base: RuleSet) -> Draft:
        """Return the draft with these rules in the place of its own."""
        mine = by_id(rules)
        found = difference(base.rules, mine.values())
        put = tuple(mine[name] for name in sorted((*found.added, *found.changed)))
        return replace(self, put=put, removed=found.removed)

    def difference(self, base: RuleSet) -> Difference:
        """Return what publishing it would do to its base."""
        return difference(base.rules, self.rules(base))


@dataclass(frozen=True, slots=True)
class _Kept:
    """A draft as its file has it."""

    person: str
    base: int
    revision: int
    saved_at: str
    put: tuple[Any, ...] = field(default=())
    removed: tuple[str, ...] = field(default=())


class Drafts:
    """The drafts of one catalogue.

    Args:
        store: The rules that they will be.
    """

    def __init__(self, store: RuleStore) -> None:
        self._store, self._folder = store, store.folder / "drafts"

    def open(self, person: str) -> Draft:
        """Return somebody's draft, or a new one of the newest version.

        Raises:
            RetrievalError: Its file cannot be read.
        """
        return self._read(self._path(person)) or Draft(person, self._store.newest())

    def list(self) -> list[Draft]:
        """Return the drafts of all people, by their names."""
        found = [self._read(path) for path in sorted(self._folder.glob("*.json"))]
        return sorted((one for one in found if one is not None), key=lambda one: one.person)

    @use_case("rules.draft", Role.MERCHANDISER, is_audited=False)
    def save(self, draft: Draft) -> Draft:
        """Keep a draft; returns it as it is kept.

        Raises:
            ChangedMeanwhile: It was saved elsewhere since it was opened; what is kept there stays.
            RetrievalError: The name is no name.
        """
        path = self._path(draft.person)
        with locked(lock_beside(path)):
            self._require_newest(path, draft)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            saved = replace(draft, saved_at=now, revision=draft.revision + 1)
            write_atomically(path, json.dumps(_as_plain(saved), ensure_ascii=False).encode())
        return saved

    @use_case("rules.discard", Role.MERCHANDISER, is_audited=False)
    def discard(self, person: str) -> None:
        """Forget somebody's draft."""
        self._path(person).unlink(missing_ok=True)

    def publish(self, draft: Draft, *, note: str = "") -> RuleSet:
        """Publish a draft and forget it; where it is refused, it stays.

        Raises:
            ChangedMeanwhile: Somebody else changed the same rules meanwhile, or the draft was saved elsewhere.
            RetrievalError: The rules are refused.
        """
        path = self._path(draft.person)
        with locked(lock_beside(path)):
            self._require_newest(path, draft)
            rules = draft.rules(self._store.read(draft.base))
            published = self._store.publish(rules, base=draft.base, by=draft.person, note=note)
            path.unlink(missing_ok=True)
        return published

    def _require_newest(self, path: Path, draft: Draft) -> None:
        """Refuse a draft that is not the one that is kept; the lock is held."""
        kept = self._read(path)
        if (kept.revision if kept else 0) != draft.revision:
            when = f" at {datetime.fromisoformat(kept.saved_at):%H:%M} UTC" if kept and kept.saved_at else ""
            raise ChangedMeanwhile(
                f"The draft of {draft.person} was changed in another window{when}.",
                next_step="Reload the page to continue from there.",
            )

    def _path(self, person: str) -> Path:
        name = unicodedata.normalize("NFC", person).strip()
        if not name or len(name) > MAX_TEXT or not name.isprintable():
            raise RetrievalError("A draft needs the name of a person.", next_step="Say who you are.")
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def _read(self, path: Path) -> Draft | None:
        try:
            kept: _Kept = built(_Kept, parsed(read_plain(path, _MOST_BYTES)), "the draft")
            put = tuple(from_plain(rule) for rule in kept.put)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise RetrievalError(
                f"The draft {path.name} cannot be read: {error}.", next_step="Remove this file, and begin again."
            ) from error
        return Draft(kept.person, kept.base, put, kept.removed, kept.saved_at, kept.revision)


def _as_plain(draft: Draft) -> dict[str, Any]:
    head = {name: getattr(draft, name) for name in ("person", "base", "revision", "saved_at")}
    return {**head, "put": [as_plain(rule) for rule in draft.put], "removed": list(draft.removed)}
