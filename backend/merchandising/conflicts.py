"""What is wrong with rules, said when they are saved: each a sentence that names the rules, none resolved silently.

Rules that lead in a circle are refused. Everything else is a warning, which says what will happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from backend.merchandising.overlaps import Timed, contradictions
from backend.merchandising.wording import counted, listed, said, where_said
from backend.retrieval.rules.rule import PINS, SHIFTS, unusable

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence
    from datetime import datetime

    from backend.merchandising.known_products import KnownProducts
    from backend.retrieval.rules.rule import Rule

Severity = Literal["refused", "warned"]
_STEPS = 5  # of a circle, that are written out
_NAMED = frozenset({"product", "nearest"})


@dataclass(frozen=True, slots=True)
class Conflict:
    """One thing that is wrong.

    Attributes:
        severity: ``refused``: cannot be published; ``warned``: can, and happens as the sentence says.
        kind: A word for machines.
        rules: Ids of the rules.
        sentence: For people.
    """

    severity: Severity
    kind: str
    rules: tuple[str, ...]
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"severity": self.severity, "kind": self.kind, "rules": list(self.rules), "sentence": self.sentence}


def conflicts(
    rules: Iterable[Rule],
    *,
    now: datetime,
    known: KnownProducts | None = None,
    pictures: frozenset[str] | None = None,
    k: int | None = None,
) -> list[Conflict]:
    """Return everything that is wrong with rules, what is refused first.

    Args:
        rules: The rules.
        now: A time that knows its zone; what ends before it has ended.
        known: The products; without them nothing is said of what there is.
        pictures: SHA-256 of the pictures that are kept; without them nothing is said of these.
        k: Places of the answers that are asked for.
    """
    timed = [Timed(rule) for rule in sorted(rules, key=lambda one: one.id)]
    found = [*_circles(timed), *_places(timed, known), *_twice(timed, known), *_closed(timed, known)]
    found += [*_torn(timed, known), *_repeated(timed, known)]
    for one in timed:
        found += _alone(one, now, pictures, k)
        found += [] if known is None else _unknown(one.rule, known)
    return sorted(found, key=lambda one: (one.severity, one.kind, one.rules))


def named(rule: Rule) -> tuple[str, ...]:
    """Return the ids of products that a rule names, each once."""
    scoped = rule.scope.values if rule.scope.kind in _NAMED else ()
    return tuple(dict.fromkeys((*scoped, *rule.products)))


def check_publishable(rules: Iterable[Rule]) -> None:
    """Refuse rules that cannot be published.

    Raises:
        RetrievalError: They lead in a circle; the message names them.
    """
    for one in _circles([Timed(rule) for rule in rules]):
        raise unusable(one.sentence, "Take one of these fall-backs out.")


# ------------------------------------------------------------------------------------------------ two rules


def _places(timed: Sequence[Timed], known: KnownProducts | None) -> Iterator[Conflict]:
    """Two products at one place. A soft pin moves up where its place is taken, which the first place cannot."""
    claims = [
        (one, one.rule.slot, None)
        for one in timed
        if one.rule.action == "pin" or (one.rule.action == "soft pin" and one.rule.slot == 1)
    ]
    for first, second in contradictions(claims, known, clash=lambda _one, _other: True):
        if first.products == second.products:
            continue
        winner = first if first.action == "pin" or second.action == "soft pin" else second
        yield _pair("place", first, second, f"both claim place {first.slot} of the same answers; {winner.id} wins")


def _twice(timed: Sequence[Timed], known: KnownProducts | None) -> Iterator[Conflict]:
    """One product at two places."""
    claims = [(one, one.rule.products[0], one.rule.slot) for one in timed if one.rule.action in PINS]
    for first, second in contradictions(claims, known, clash=lambda one, other: one != other):
        places = " and ".join(str(slot) for slot in sorted((first.slot or 0, second.slot or 0)))
        what = f"pin {first.products[0]} at the places {places} of the same answers; it can stand at one only"
        yield _pair("pinned_twice", first, second, what)


def _closed(timed: Sequence[Timed], known: KnownProducts | None) -> Iterator[Conflict]:
    """A product that is pinned and blocked."""
    claims: list[tuple[Timed, Hashable, Hashable]] = []
    claims += [(one, one.rule.products[0], "pin") for one in timed if one.rule.action in PINS]
    pinned = {thing for _, thing, _ in claims}
    for one in timed:
        if one.rule.action == "block":
            named = set(one.rule.products) if one.rule.products or known is None else known.matching(one.rule.where)
            claims += [(one, product, "block") for product in sorted(pinned & named, key=str)]
    for first, second in contradictions(claims, known, clash=lambda one, other: one != other):
        pin, block = (first, second) if first.action in PINS else (second, first)
        what = f"pin and block {pin.products[0]} in the same answers; it stays blocked by {block.id}"
        yield _pair("pinned_and_blocked", pin, block, what)


def _torn(timed: Sequence[Timed], known: KnownProducts | None) -> Iterator[Conflict]:
    """The same thing boosted and buried."""
    claims: list[tuple[Timed, Hashable, Hashable]] = []
    for one in timed:
        if one.rule.action in SHIFTS:
            things: Sequence[Hashable] = one.rule.products or [one.rule.where]
            claims += [(one, thing, one.rule.action) for thing in things]
    for first, second in contradictions(claims, known, clash=lambda one, other: one != other):
        common = sorted(set(first.products) & set(second.products))
        what = listed(common) if common else where_said(first.where)
        yield _pair("boost_and_bury", first, second, f"boost and bury {what} in the same answers; the two are added up")


def _repeated(timed: Sequence[Timed], known: KnownProducts | None) -> Iterator[Conflict]:
    """The same effect twice."""
    claims = []
    for one in timed:
        rule = one.rule
        same = (rule.action, rule.scope, rule.products, rule.where, rule.slot, rule.strength, rule.crosses)
        claims.append((one, same, None))
    for first, second in contradictions(claims, known, clash=lambda _one, _other: True):
        twice = "count twice" if first.action in SHIFTS else "one of them is enough"
        yield _pair("duplicate", first, second, f"do the same at the same time: {said(first)}; {twice}")


def _pair(kind: str, first: Rule, second: Rule, what: str) -> Conflict:
    return Conflict("warned", kind, (first.id, second.id), f"{first.id} and {second.id} {what}.")


# ------------------------------------------------------------------------------------------------ circles


def _circles(timed: Sequence[Timed]) -> list[Conflict]:
    """Fall-backs that lead back to where they began, of rules that are in force at one time."""
    falling = [one for one in timed if one.rule.action == "fall-back" and one.rule.scope.kind in _NAMED]
    if not _circle(falling):
        return []
    found = {}
    for moment in sorted({one.span[0] for one in falling}):
        live = [one for one in falling if one.span[0] <= moment < one.span[1]]
        if circle := _circle(live):
            rules = _rules_on(circle, live)
            steps = [f"{one} to {other}" for one, other in pairwise(circle)]
            way = f"{', '.join(steps[:-1][:_STEPS])}{', …,' if len(steps) > _STEPS + 1 else ''} and {steps[-1]}"
            sentence = f"The fall-backs {listed(rules)} lead in a circle: {way if len(steps) > 1 else steps[0]}."
            found[rules] = Conflict("refused", "circle", rules, sentence)
    return list(found.values())


def _circle(falling: Sequence[Timed]) -> list[str]:
    """Return the products of a circle, the first one again at its end; empty where there is none."""
    graph: dict[str, set[str]] = {}
    for one in falling:
        for value in one.rule.scope.values:
            graph.setdefault(value, set()).update(one.rule.products)
    loop = min((value for value, others in graph.items() if value in others), default=None)
    if loop is not None:
        return [loop, loop]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = list(reversed(error.args[1]))
        return circle if circle[1] in graph[circle[0]] else circle[::-1]
    return []


def _rules_on(circle: Sequence[str], live: Sequence[Timed]) -> tuple[str, ...]:
    steps = set(pairwise(circle))
    return tuple(
        one.rule.id
        for one in live
        if any((value, product) in steps for value in one.rule.scope.values for product in one.rule.products)
    )


# ------------------------------------------------------------------------------------------------ one rule


def _alone(one: Timed, now: datetime, pictures: frozenset[str] | None, k: int | None) -> Iterator[Conflict]:
    rule = one.rule
    if one.span[1] <= now:
        yield _warned("ended", rule, f"ended on {rule.ends.replace('T', ' ')} {rule.zone} and does nothing")
    if rule.slot and k is not None and rule.slot > k:
        yield _warned("behind", rule, f"pins to place {rule.slot}, but answers have {counted(k, 'place')}")
    if pictures is not None and rule.scope.kind == "picture" and rule.scope.values[0] not in pictures:
        yield _warned("no_picture", rule, "is for a picture that is not kept here and does nothing")


def _unknown(rule: Rule, known: KnownProducts) -> Iterator[Conflict]:
    if gone := [name for name in named(rule) if name not in known.ids]:
        what = counted(len(gone), "product")
        yield _warned("gone", rule, f"names {what} that {known.catalogue} does not have: {listed(gone)}")
    if rule.scope.kind in known.values and not known.values[rule.scope.kind].intersection(rule.scope.values):
        what = f"is for the {rule.scope.kind} {listed(rule.scope.values)}, which no product of {known.catalogue} has"
        yield _warned("empty_scope", rule, what)
    if rule.where and not known.matching(rule.where):
        what = f"is about {where_said(rule.where)}, and {known.catalogue} has none"
        yield _warned("empty_condition", rule, what)


def _warned(kind: str, rule: Rule, what: str) -> Conflict:
    return Conflict("warned", kind, (rule.id,), f"{rule.id} {what}.")
