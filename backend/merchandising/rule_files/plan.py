"""What a file of rules would change, said before it is published; and the publishing of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.errors import RetrievalError
from backend.files.plain_files import read_plain
from backend.merchandising.conflicts import Conflict, conflicts, named
from backend.merchandising.merging import Difference, by_id, difference, merged
from backend.merchandising.rule_files.csv_file import from_csv
from backend.merchandising.rule_files.yaml_file import MOST_BYTES, from_yaml
from backend.merchandising.wording import counted, listed, said
from backend.retrieval.rules.rule_set import RuleSet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backend.merchandising.known_products import KnownProducts
    from backend.merchandising.rule_store import RuleStore
    from backend.retrieval.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be published.

    Attributes:
        now: The newest rules.
        base: Version that the file was made of; the newest where it names none.
        rules: The rules of the file.
        then: The rules as they would be: those of the file, and what others changed since ``base``.
        torn: Rules that the file and, since ``base``, somebody else changed.
        conflicts: What is wrong with them.
        notes: What the file has that was passed over.
    """

    now: RuleSet
    base: int
    rules: RuleSet
    then: RuleSet
    torn: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    notes: tuple[str, ...] = ()

    @property
    def difference(self) -> Difference:
        """What becomes of the newest rules."""
        return difference(self.now.rules, self.then.rules)

    @property
    def is_refused(self) -> bool:
        """Whether it cannot be published."""
        return bool(self.torn) or any(one.severity == "refused" for one in self.conflicts)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values, rules in words."""
        found, old, new = self.difference, by_id(self.now.rules), by_id(self.then.rules)
        return {
            "version": self.now.version,
            "base": self.base,
            "added": [{"id": name, "rule": said(new[name])} for name in found.added],
            "changed": [{"id": name, "before": said(old[name]), "after": said(new[name])} for name in found.changed],
            "removed": [{"id": name, "rule": said(old[name])} for name in found.removed],
            "unchanged": len(self.then.rules) - len(found.added) - len(found.changed),
            "changed_by_both": list(self.torn),
            "conflicts": [one.as_dict() for one in self.conflicts],
            "notes": list(self.notes),
            "is_refused": self.is_refused,
        }


def plan(path: Path, store: RuleStore, known: KnownProducts | None) -> Plan:
    """Read a file of rules, YAML or by its name CSV, and say what it would change.

    Raises:
        FileUnusable: It cannot be read.
        RetrievalError: It is no such file, or a rule in it cannot be used.
        CatalogueNotFound: It was made of a version that there is not.
    """
    now = store.read()
    notes: list[str] = []
    base: int | None = None
    if path.suffix.lower() in {".csv", ".tsv"}:
        rules, notes = from_csv(path, now.rules)
    else:
        rules, base = from_yaml(read_plain(path.resolve(), MOST_BYTES))
    base = now.version if base is None else base
    notes += _unknown(rules, known)
    then, torn = merged(store.read(base).rules, rules, now.rules)
    pictures = store.pictures.names()
    found = conflicts(then, now=datetime.now(UTC), known=known, pictures=pictures)
    return Plan(now, base, RuleSet.of(rules), RuleSet.of(then), tuple(torn), tuple(found), tuple(notes))


def _unknown(rules: Sequence[Rule], known: KnownProducts | None) -> list[str]:
    """Count the ids in a file that the catalogue does not have; they are kept, and wait for their products."""
    if known is None:
        return []
    missing = sorted({name for rule in rules for name in named(rule)} - known.ids)
    what = counted(len(missing), "id in the file is", "ids in the file are")
    return [f"{what} not in the catalogue {known.catalogue}, and kept: {listed(missing)}."] if missing else []


def apply(planned: Plan, store: RuleStore, *, by: str, note: str = "") -> RuleSet:
    """Publish what was planned; whatever others published since stays, or is refused by name.

    Raises:
        ChangedMeanwhile: Somebody else changed the same rules.
        RetrievalError: A conflict is refused.
    """
    refused = [one.sentence for one in planned.conflicts if one.severity == "refused"]
    if refused:
        raise RetrievalError(
            f"{counted(len(refused), 'conflict')} must be resolved first: {refused[0]}",
            next_step="Correct the file, then plan it again.",
        )
    base = planned.base if planned.torn else planned.now.version
    rules = planned.rules if planned.torn else planned.then
    return store.publish(rules.rules, base=base, by=by, note=note)
