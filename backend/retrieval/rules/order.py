"""The order of an answer after rules: what is moved, what stands at its place, and what fills the end.

The steps and their sequence are those of docs/guide/rules.md: eligibility and filters come before the search, then the
nearest, duplicates brought together, and here boost and bury (6), variety (7), pins (8) and fall-backs (9). Everything
here works on positions of a gallery and is the same whatever order the rules are given in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backend.retrieval.rules.rule import MAX_STRENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    # Candidates in their order and their scores, to those shown, in the order shown.
    Vary = Callable[[Sequence[int], Mapping[int, float]], Sequence[int]]


class Shift(NamedTuple):
    """Moves products; ``amount`` in units of the spread, below 0 for bury."""

    rule: str
    amount: float
    crosses: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Shifts:
    """Which of S shifts act on which of P products.

    Attributes:
        rows: Of all candidates, by their position in the gallery.
        of: The shifts.
        acts: Whether a shift acts on a product, bool (P, S).
    """

    rows: Mapping[int, int]
    of: Sequence[Shift]
    acts: NDArray[np.bool_]

    def amounts(self) -> NDArray[np.float64]:
        """Return how far each product is moved in all, in units, cut at ``MAX_STRENGTH``; (P,)."""
        each = np.array([shift.amount for shift in self.of], dtype=np.float64)
        # Row by row in one order, so that what the same rules move is moved as far to the last bit.
        total: NDArray[np.float64] = np.where(self.acts, each, 0.0).sum(axis=1)
        return total.clip(-MAX_STRENGTH, MAX_STRENGTH)

    def crossing(self) -> NDArray[np.bool_]:
        """Return whether a rule lets each product cross the line between matches and others, bool (P,)."""
        crosses = [number for number, shift in enumerate(self.of) if shift.crosses]
        found: NDArray[np.bool_] = self.acts[:, crosses].any(axis=1)
        return found

    def moving(self, position: int) -> set[str]:
        """Return the ids of the rules that act on a product."""
        row = self.rows.get(position)
        return set() if row is None else {self.of[number].rule for number in np.flatnonzero(self.acts[row]).tolist()}


NO_SHIFTS = Shifts({}, (), np.zeros((0, 0), dtype=np.bool_))


@dataclass(frozen=True, slots=True)
class Pin:
    """Keeps one product at a place, from 1, or at or above it where it is soft; ``rank`` tells who wins."""

    rule: str
    position: int
    slot: int
    is_soft: bool = False
    rank: tuple[int, str] = (0, "")


@dataclass(frozen=True, slots=True)
class Effects:
    """What rules do to one answer, eligible products only.

    Attributes:
        shifts: Of the candidates.
        pins: Of any order.
        fall_backs: Position and rule, in the order in which they fill.
    """

    shifts: Shifts = NO_SHIFTS
    pins: Sequence[Pin] = ()
    fall_backs: Sequence[tuple[int, str]] = ()

    def __bool__(self) -> bool:
        return bool(self.shifts.of or self.pins or self.fall_backs)


class Candidate(NamedTuple):
    """One product that was found: its similarity, and whether that is a match; None where that is not known."""

    position: int
    similarity: float
    is_match: bool | None = None


class Placed(NamedTuple):
    """One place of an answer: a product, and the rules that moved it there."""

    position: int
    rules: tuple[str, ...] = ()


def ordered(
    candidates: Sequence[Candidate],
    effects: Effects,
    *,
    k: int,
    line: float | None = None,
    match_only: bool = False,
    vary: Vary | None = None,
) -> list[Placed]:
    """Put an answer into the order that rules give it.

    Args:
        candidates: Those found, nearest first, one of each group; pinned ones need not be among them.
        effects: What the rules do.
        k: Places of the answer; fewer are filled where there are fewer products.
        line: Lowest similarity of a match; None where there is none.
        match_only: Whether candidates that are no match are left out, but for those that a rule takes across the line.
        vary: Chooses among candidates for variety; all in their order when left out.
    """
    pins = settled(effects.pins)
    scores = shifted(candidates, effects.shifts, line)
    order = sorted(candidates, key=lambda one: -scores[one.position])  # equal scores stay in the order of the search
    fixed = {pin.position for pin in pins.values() if not pin.is_soft}
    if match_only:
        order = [
            one for one in order if one.is_match is not False or (line is not None and scores[one.position] >= line)
        ]
    free = [one.position for one in order if one.position not in fixed]
    shown = list(free if vary is None else vary(free, scores))
    placed, used = pinned(shown, pins, k)
    at_place = {pin.position: pin.rule for pin in used}
    answer = []
    for position in placed:
        moving = effects.shifts.moving(position) | ({at_place[position]} if position in at_place else set())
        answer.append(Placed(position, tuple(sorted(moving))))
    return answer + filling(effects.fall_backs, placed, k)


def filling(fall_backs: Sequence[tuple[int, str]], placed: Sequence[int], k: int) -> list[Placed]:
    """Return what fills the places after those taken: each product once, in the order of the list."""
    left: dict[int, str] = {}
    for position, rule in fall_backs:
        if position not in placed:
            left.setdefault(position, rule)
    return [Placed(position, (rule,)) for position, rule in left.items()][: k - len(placed)]


def settled(pins: Sequence[Pin]) -> dict[int, Pin]:
    """Return the pin of each place: the one that wins where several claim a place, or a product several places.

    A hard pin goes before a soft one; a soft one whose place is taken has the next one above it that is free.
    """
    found: dict[int, Pin] = {}
    seen: set[int] = set()
    for pin in sorted(pins, key=lambda one: (one.is_soft, one.rank, one.slot, one.position)):
        places = range(pin.slot, 0, -1) if pin.is_soft else (pin.slot,)
        slot = next((place for place in places if place not in found), None)
        if slot is not None and pin.position not in seen:
            found[slot] = pin
            seen.add(pin.position)
    return found


def shifted(candidates: Sequence[Candidate], shifts: Shifts, line: float | None) -> dict[int, float]:
    """Return the score of each candidate: its similarity, moved by its shifts.

    The unit is the standard deviation of the candidates' similarities, so that a rule means the same in a dense and in a
    sparse part of a catalogue. The sum is cut at ``MAX_STRENGTH`` units. No product leaves its side of the line between
    matches and others unless one of its rules says so.
    """
    positions, similarities, matches = zip(*candidates, strict=True) if candidates else ((), (), ())
    if not shifts.of or not candidates:
        return dict(zip(positions, similarities, strict=True))
    alike = np.array(similarities, dtype=np.float64)
    rows = [shifts.rows[position] for position in positions]
    scores = alike + shifts.amounts()[rows] * alike.std()
    held = scores if line is None else _held(scores, alike, matches, line)
    return dict(zip(positions, np.where(shifts.crossing()[rows], scores, held).tolist(), strict=True))


def _held(
    scores: NDArray[np.float64], alike: NDArray[np.float64], matches: Sequence[bool | None], line: float
) -> NDArray[np.float64]:
    """Keep scores (P,) on their candidates' side of the line, and never take them the other way for that."""
    above = np.maximum(scores, np.minimum(line, alike))
    below = np.minimum(scores, np.maximum(np.nextafter(line, -np.inf), alike))
    is_match, is_other = ([one is wanted for one in matches] for wanted in (True, False))
    return np.where(is_match, above, np.where(is_other, below, scores))


def pinned(shown: Sequence[int], pins: Mapping[int, Pin], k: int) -> tuple[list[int], list[Pin]]:
    """Fill k places: hard pins at theirs, the others in between in their order, and no soft pin below its place.

    Where there are too few others to fill the places before a pin, it moves up to the end of what there is.

    Returns:
        Positions in their places, and the pins that put a product there: a soft one that is high enough puts nothing.
    """
    at = {slot: pin for slot, pin in pins.items() if not pin.is_soft}
    places = (
        max(k, *pins) if pins else k
    )  # a pin behind the last place shown keeps its product out of the places before
    while True:  # each time round at least one soft pin becomes a hard one
        placed = _filled(shown, at, places)
        below = {slot: pin for slot, pin in pins.items() if slot not in at and pin.position not in placed[:slot]}
        if not below:
            return placed[:k], list(at.values())
        at |= below


def _filled(shown: Sequence[int], at: Mapping[int, Pin], k: int) -> list[int]:
    fixed = {pin.position for pin in at.values()}
    others = iter([position for position in shown if position not in fixed])
    places = (at[slot].position if slot in at else next(others, None) for slot in range(1, k + 1))
    return [position for position in places if position is not None]
