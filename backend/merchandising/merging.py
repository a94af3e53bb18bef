"""What two people made of the same rules, brought together: what only one of both touched is merged, the rest is named."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backend.retrieval.rules.rule import Rule


def places_changed(before: Sequence[str], after: Sequence[str]) -> int:
    """Return how many places of an answer have another product than before: of the longer one, where one is longer."""
    return sum(one != other for one, other in zip_longest(before, after))


@dataclass(frozen=True, slots=True)
class Difference:
    """What is different from one set of rules to another: ids, ascending."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    @property
    def ids(self) -> frozenset[str]:
        """All of them."""
        return frozenset((*self.added, *self.changed, *self.removed))

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each."""
        return {name: len(ids) for name, ids in asdict(self).items()}


def by_id(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Return rules by their ids."""
    return {rule.id: rule for rule in rules}


def difference(before: Iterable[Rule], after: Iterable[Rule]) -> Difference:
    """Return what became of rules."""
    old, new = by_id(before), by_id(after)
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
        removed=tuple(sorted(old.keys() - new.keys())),
    )


def merged(base: Iterable[Rule], mine: Iterable[Rule], theirs: Iterable[Rule]) -> tuple[list[Rule], list[str]]:
    """Bring together what two made of the same rules.

    Returns:
        The rules, ascending by id, and the ids of those that both changed, and not in the same way: of these the rules
        have what the others made.
    """
    was, my, their = by_id(base), by_id(mine), by_id(theirs)
    rules, both = [], []
    for name in sorted(was.keys() | my.keys() | their.keys()):
        chosen, is_torn = _chosen(name, was, my, their)
        both += [name] if is_torn else []
        rules += [chosen] if chosen is not None else []
    return rules, both


def _chosen(name: str, *sets: Mapping[str, Any]) -> tuple[Rule | None, bool]:
    was, my, their = (rules.get(name) for rules in sets)
    if my in (was, their):
        return their, False
    return (my, False) if their == was else (their, True)
