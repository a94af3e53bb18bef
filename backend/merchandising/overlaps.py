"""Which rules claim the same thing in the same answers at the same time, found without comparing each with each.

Rules are put under what they are about. Those under one key are swept in the order of their starts, and each is compared
with the one that wins among those in force by then: so every rule that contradicts another is named, with that one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from backend.merchandising.known_products import KnownProducts
    from backend.retrieval.rules.rule import Rule

_ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_ALL = ("all", "")
_ASKED = frozenset({"product", "nearest"})


@dataclass
class Timed:
    """A rule with what the sweep asks of it, computed once."""

    rule: Rule

    @cached_property
    def span(self) -> tuple[datetime, datetime]:
        """When it starts and ends."""
        starts, ends = self.rule.times
        return starts or _ALWAYS[0], ends or _ALWAYS[1]

    @cached_property
    def rank(self) -> tuple[int, str]:
        """Who wins."""
        return self.rule.rank


@dataclass
class Claims:
    """Rules under one key: those that are about it, and those of narrower scope that it holds for, too."""

    broad: list[tuple[Timed, Hashable]] = field(default_factory=list)
    narrow: list[tuple[Timed, Hashable]] = field(default_factory=list)


def contradictions(
    claims: Iterable[tuple[Timed, Hashable, Hashable]],
    known: KnownProducts | None,
    *,
    clash: Callable[[Hashable, Hashable], bool],
) -> Iterator[tuple[Rule, Rule]]:
    """Yield pairs of rules that contradict each other, the one that wins first, each pair once.

    Args:
        claims: Rules, each with the thing that it claims, and in which way.
        known: The products, which tell whether a rule for a product and one for a label meet; without them only rules
            of one kind of scope are compared, and all of them with those for every answer.
        clash: Whether two ways contradict each other.
    """
    by_thing: dict[Hashable, list[tuple[Timed, Hashable]]] = defaultdict(list)
    for one, thing, way in claims:
        by_thing[thing].append((one, way))
    seen: set[tuple[str, str]] = set()
    for group in (group for mine in by_thing.values() if len(mine) > 1 for group in _groups(mine, known)):
        for first, second in _swept(group, clash):
            pair = (first.rule, second.rule) if first.rank <= second.rank else (second.rule, first.rule)
            if (pair[0].id, pair[1].id) not in seen:
                seen.add((pair[0].id, pair[1].id))
                yield pair


def _groups(claims: Sequence[tuple[Timed, Hashable]], known: KnownProducts | None) -> list[Claims]:
    """Return the rules that claim one thing by what they are for, where there are several."""
    groups: dict[Hashable, Claims] = defaultdict(Claims)
    for one, way in claims:
        for key in _keys(one.rule):
            groups[key].broad.append((one, way))
    for one, way in claims:
        for key in groups.keys() & _wider(one.rule, known):
            groups[key].narrow.append((one, way))
    return [group for group in groups.values() if len(group.broad) + len(group.narrow) > 1]


def _keys(rule: Rule) -> list[Hashable]:
    scope = rule.scope
    if scope.kind == "all":
        return [_ALL]
    if scope.kind == "picture":
        return [("picture", *scope.values)]
    kind = "asked" if scope.kind in _ASKED else scope.kind  # a product is the nearest to itself
    return [(kind, value) for value in scope.values]


def _wider(rule: Rule, known: KnownProducts | None) -> frozenset[Hashable]:
    """Return what is wider than the scope of a rule and holds for some of its answers."""
    if rule.scope.kind == "all":
        return frozenset()
    if known is None or rule.scope.kind == "picture":
        return frozenset({_ALL})
    return frozenset({_ALL}).union(*(known.meeting(rule.scope.kind, value) for value in rule.scope.values))


def _swept(group: Claims, clash: Callable[[Hashable, Hashable], bool]) -> Iterator[tuple[Timed, Timed]]:
    live: dict[tuple[bool, Hashable], list[tuple[tuple[int, str], int, Timed]]] = defaultdict(list)
    claims = [(one, way, True) for one, way in group.broad] + [(one, way, False) for one, way in group.narrow]
    for number, (one, way, is_broad) in enumerate(sorted(claims, key=lambda claim: claim[0].span[0])):
        for (other_is_broad, other_way), heap in live.items():
            if (is_broad or other_is_broad) and clash(way, other_way):
                while heap and heap[0][2].span[1] <= one.span[0]:
                    heappop(heap)
                if heap and heap[0][2].rule.id != one.rule.id:
                    yield heap[0][2], one
        heappush(live[is_broad, way], (one.rank, number, one))
