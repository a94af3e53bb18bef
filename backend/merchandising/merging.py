"""What two people made of the same things, brought together: what only one of both touched is merged, the rest is named."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class HasId(Protocol):
    """A rule, a collection: what has a name for machines and is compared as a whole."""

    @property
    def id(self) -> str:
        """Its name for machines."""


T = TypeVar("T", bound=HasId)


def places_changed(before: Sequence[str], after: Sequence[str]) -> int:
    """Return how many places of an answer have another product than before: of the longer one, where one is longer."""
    return sum(one != other for one, other in zip_longest(before, after))


@dataclass(frozen=True, slots=True)
class Difference:
    """What is different from one set to another: ids, ascending."""

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


def by_id(items: Iterable[T]) -> dict[str, T]:
    """Return items by their ids."""
    return {item.id: item for item in items}


def difference(before: Iterable[T], after: Iterable[T]) -> Difference:
    """Return what became of items."""
    old, new = by_id(before), by_id(after)
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
        removed=tuple(sorted(old.keys() - new.keys())),
    )


def merged(
    base: Iterable[T],
    mine: Iterable[T],
    theirs: Iterable[T],
    together: Callable[[T, T, T], T | None] = lambda *_: None,
) -> tuple[list[T], list[str]]:
    """Bring together what two made of the same items.

    Args:
        base: What both began with.
        mine: What one made of it.
        theirs: What the other made of it.
        together: Brings together what two made of one item; None where that cannot be done.

    Returns:
        The items, ascending by id, and the ids of those that both changed, and not in the same way: of these the items
        have what the others made.
    """
    was, my, their = by_id(base), by_id(mine), by_id(theirs)
    items, both = [], []
    for name in sorted(was.keys() | my.keys() | their.keys()):
        chosen, is_torn = _chosen(was.get(name), my.get(name), their.get(name), together)
        both += [name] if is_torn else []
        items += [chosen] if chosen is not None else []
    return items, both


def _chosen(
    was: T | None, my: T | None, their: T | None, together: Callable[[T, T, T], T | None]
) -> tuple[T | None, bool]:
    if my in (was, their):
        return their, False
    if their == was:
        return my, False
    found = None if was is None or my is None or their is None else together(was, my, their)
    return (their, True) if found is None else (found, False)
