"""Rules looked up in a gallery: which of them a question touches, and what they do to which of its products.

What a rule says of every answer is looked up once, when the rules are compiled; what it says of some answers is found
under what those are about. So a question costs what touches it, however many rules there are.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import ImageRejected, RetrievalError
from backend.retrieval.rules.order import NO_SHIFTS, Effects, Pin, Shift, Shifts
from backend.retrieval.rules.rule import NAMED_BY, SOLD_OUT, next_change

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from numpy.typing import NDArray

    from backend.retrieval.gallery.gallery import Gallery
    from backend.retrieval.rules.rule import Rule
    from backend.retrieval.rules.rule_set import RuleSet

    Embed = Callable[[str], NDArray[np.float32]]  # the embedding (D,) of a rule's picture, by the picture's SHA-256

_ALL: Hashable = ("all", "")


@dataclass(frozen=True, slots=True)
class Context:
    """What a question is about.

    Attributes:
        products: Positions of the products asked about.
        nearest: Position of the nearest product that may be shown; None where there is none.
        vectors: Embeddings of what is asked, as the model has them, (P, D).
    """

    products: tuple[int, ...]
    nearest: int | None
    vectors: NDArray[np.float32]


@dataclass(slots=True)
class Bucket:
    """What rules of one scope do: by position, and by number of a condition; ``rules`` are their ids, by rank.

    ``shifts_by`` has each condition's number and the shift of what fulfils it.
    """

    rules: list[str] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    shifts: dict[int, list[Shift]] = field(default_factory=lambda: defaultdict(list))
    shifts_by: list[tuple[int, Shift]] = field(default_factory=list)
    blocked: list[int] = field(default_factory=list)
    blocked_by: list[int] = field(default_factory=list)
    fall_backs: list[tuple[tuple[int, str], list[int]]] = field(default_factory=list)


class Conditions:
    """Which products fulfil which of D conditions: one bit each, so that a thousand conditions on a million fit in memory.

    Args:
        wanted: Conditions, as :func:`backend.retrieval.rules.rule.conditions` gives them, each once.
        gallery: The N products.
    """

    def __init__(self, wanted: Iterable[tuple[tuple[str, Any], ...]], gallery: Gallery) -> None:
        self.numbers = {one: number for number, one in enumerate(dict.fromkeys(wanted))}
        self._bits = np.zeros((gallery.size, -(-len(self.numbers) // 8)), dtype=np.uint8)
        for one, number in self.numbers.items():
            self._bits[:, number // 8] |= fulfilled(one, gallery).astype(np.uint8) << np.uint8(number % 8)

    def fulfilled(self, positions: NDArray[np.int64], numbers: Sequence[int]) -> NDArray[np.bool_]:
        """Return which of these products (P,) fulfil which of these C conditions, bool (P, C)."""
        bytes_, bits = np.divmod(np.asarray(numbers, dtype=np.int64), 8)
        found: NDArray[np.bool_] = (self._bits[positions][:, bytes_] & (1 << bits).astype(np.uint8)) > 0
        return found

    def mask(self, number: int) -> NDArray[np.bool_]:
        """Return which products fulfil a condition, bool (N,)."""
        found: NDArray[np.bool_] = (self._bits[:, number // 8] & np.uint8(1 << number % 8)) > 0
        return found


def fulfilled(where: tuple[tuple[str, Any], ...], gallery: Gallery) -> NDArray[np.bool_]:
    """Return which of N products fulfil conditions, bool (N,)."""
    filters = dict(where)
    sold_out = filters.pop(SOLD_OUT, None)
    allowed = gallery.allowed(filters)
    mask = np.ones(gallery.size, dtype=np.bool_) if allowed is None else allowed
    return mask if sold_out is None else mask & (gallery.sold_out == sold_out)


class CompiledRules:
    """The rules in force at a time, for one gallery; threads may share it.

    Args:
        rules: The set.
        gallery: Its products.
        embed: Gives embeddings of the pictures that rules are for.
        now: The time; now where left out.

    Attributes:
        version, digest: Of the set.
        at: The time that it holds for.
        until: When the next rule starts or ends; None where none does.
        unknown: Rules and the products of theirs that are not in the gallery, or their picture that cannot be read.
        is_empty: Whether no rule is in force.
    """

    def __init__(self, rules: RuleSet, gallery: Gallery, embed: Embed, *, now: datetime | None = None) -> None:
        self.at = now or datetime.now(UTC)
        live = rules.live(self.at)
        self.version, self.digest, self.is_empty = rules.version, rules.digest, not live
        self.until = next_change(rules.rules, self.at)
        self._gallery = gallery
        self._places = _places(live, gallery)
        self._conditions = Conditions([rule.where for rule in live if rule.where], gallery)
        self._buckets: dict[Hashable, Bucket] = defaultdict(Bucket)
        for rule in sorted(live, key=lambda one: one.rank):
            for key in self._keys(rule):
                self._put(rule, self._buckets[key])
        vectors, lost = embedded_pictures(live, embed)
        near = [rule for rule in live if rule.scope.kind == "picture" and rule.scope.values[0] in vectors]
        self._anchors = [("picture", *rule.scope.values, rule.scope.radius) for rule in near]
        self._radii = np.array([rule.scope.radius for rule in near])
        self._vectors = np.stack([vectors[rule.scope.values[0]] for rule in near]) if near else None
        gone = [(rule.id, name) for rule in live for name in _named(rule) if self._places.get(name, -1) < 0]
        self.unknown = (*gone, *lost)
        everywhere = self._buckets[_ALL]
        self.closed = self._closed([everywhere])
        kinds = {key[0] for key in self._buckets if isinstance(key, tuple)}
        self._names = {name: gallery.codes(name) for name in NAMED_BY if name in kinds}

    # --------------------------------------------------------------------------------------- asked by an answer

    def touching(self, context: Context) -> list[Bucket]:
        """Return what changes answers to a question."""
        keys: list[Hashable] = [_ALL]
        keys += [("product", position) for position in context.products]
        if context.nearest is not None:
            keys.append(("nearest", context.nearest))
        about = dict.fromkeys([*context.products, *([] if context.nearest is None else [context.nearest])])
        named = [(name, texts, int(codes[one])) for one in about for name, (texts, codes) in self._names.items()]
        keys += [(name, texts[code]) for name, texts, code in named if code >= 0]
        if self._vectors is not None:
            alike = (self._vectors @ context.vectors.T).max(axis=1)
            keys += [self._anchors[number] for number in np.flatnonzero(1.0 - alike <= self._radii).tolist()]
        return [self._buckets[key] for key in dict.fromkeys(keys) if key in self._buckets]

    def allowed(self, buckets: Sequence[Bucket], allowed: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """Return which of the items that may be answered no rule blocks, bool (N,); None where that is all."""
        own = self._closed([one for one in buckets if one is not self._buckets[_ALL]])
        for closed in (self.closed, own):
            if closed is not None:
                allowed = ~closed if allowed is None else allowed & ~closed
        return allowed

    def effects(
        self, buckets: Sequence[Bucket], candidates: NDArray[np.int64], allowed: NDArray[np.bool_] | None
    ) -> Effects:
        """Return what rules do to candidates, and which products they bring, as far as those may be answered."""

        def may(position: int) -> bool:
            return allowed is None or bool(allowed[position])

        pins = [pin for bucket in buckets for pin in bucket.pins if may(pin.position)]
        fall_backs = sorted(one for bucket in buckets for one in bucket.fall_backs)
        filling = [(end, rank[1]) for rank, places in fall_backs for one in places for end in self._ends(one, may)]
        return Effects(self._shifts(buckets, candidates), pins, filling)

    # --------------------------------------------------------------------------------------- inside

    def _shifts(self, buckets: Sequence[Bucket], candidates: NDArray[np.int64]) -> Shifts:
        rows = {position: row for row, position in enumerate(candidates.tolist())}
        by_id = [bucket.shifts for bucket in buckets if bucket.shifts]
        named = [(row, shift) for own in by_id for place, row in rows.items() if place in own for shift in own[place]]
        ruled = {shift: number for bucket in buckets for number, shift in bucket.shifts_by}
        if not named and not ruled:
            return NO_SHIFTS
        of = list(dict.fromkeys([*(shift for _, shift in named), *ruled]))  # what two scopes have in common acts once
        columns = {shift: column for column, shift in enumerate(of)}
        acts = np.zeros((len(rows), len(of)), dtype=np.bool_)
        acts[:, [columns[shift] for shift in ruled]] = self._conditions.fulfilled(candidates, list(ruled.values()))
        for row, shift in named:
            acts[row, columns[shift]] = True
        return Shifts(rows, of, acts)

    def _ends(self, position: int, may: Callable[[int], bool]) -> list[int]:
        """Return a fall-back, or where it may not be shown what that product itself falls back to, over any length."""
        found: list[int] = []
        seen: set[int] = set()
        open_ = [position]
        while open_:
            one = open_.pop(0)
            if one in seen:
                continue
            seen.add(one)
            if may(one):
                found.append(one)
            else:
                further = self._buckets.get(("product", one))
                open_ = [
                    place for _, places in sorted(further.fall_backs if further else ()) for place in places
                ] + open_
        return found

    def _keys(self, rule: Rule) -> list[Hashable]:
        scope = rule.scope
        if scope.kind == "all":
            return [_ALL]
        if scope.kind == "picture":
            return [("picture", *scope.values, scope.radius)]
        if scope.kind in {"product", "nearest"}:
            places = (self._places[value] for value in scope.values)
            return [(scope.kind, place) for place in dict.fromkeys(places) if place >= 0]
        return [(scope.kind, value) for value in dict.fromkeys(scope.values)]

    def _put(self, rule: Rule, bucket: Bucket) -> None:
        places = [place for name in rule.products if (place := self._places[name]) >= 0]
        number = self._conditions.numbers.get(rule.where)
        if rule.scope.kind != "all":  # there can be hundreds of those, and each is for every answer
            bucket.rules.append(rule.id)
        if rule.slot is not None:
            is_soft = rule.action == "soft pin"
            bucket.pins += [Pin(rule.id, place, rule.slot, is_soft, rule.rank) for place in places]
        elif rule.strength is not None:
            shift = Shift(rule.id, rule.strength if rule.action == "boost" else -rule.strength, rule.crosses)
            for place in places:
                bucket.shifts[place].append(shift)
            bucket.shifts_by += [] if number is None else [(number, shift)]
        elif rule.action == "block":
            bucket.blocked += places
            bucket.blocked_by += [] if number is None else [number]
        else:
            bucket.fall_backs.append((rule.rank, places))

    def _closed(self, buckets: Sequence[Bucket]) -> NDArray[np.bool_] | None:
        if not any(bucket.blocked or bucket.blocked_by for bucket in buckets):
            return None
        closed = np.zeros(self._gallery.size, dtype=np.bool_)
        for bucket in buckets:
            closed[bucket.blocked] = True
            for number in bucket.blocked_by:
                closed |= self._conditions.mask(number)
        return closed


def embedded_pictures(
    rules: Sequence[Rule], embed: Embed
) -> tuple[dict[str, NDArray[np.float32]], list[tuple[str, str]]]:
    """Return the embeddings of the rules' pictures, and the rules whose picture cannot be had: those touch no answer."""
    vectors: dict[str, NDArray[np.float32]] = {}
    lost = []
    for rule in [rule for rule in rules if rule.scope.kind == "picture"]:
        name = rule.scope.values[0]
        try:
            vectors[name] = vectors[name] if name in vectors else embed(name)
        except (RetrievalError, ImageRejected):
            lost.append((rule.id, name))
    return vectors, lost


def _named(rule: Rule) -> tuple[str, ...]:
    return (*rule.products, *(rule.scope.values if rule.scope.kind in {"product", "nearest"} else ()))


def _places(rules: Sequence[Rule], gallery: Gallery) -> dict[str, int]:
    names = list(dict.fromkeys(name for rule in rules for name in _named(rule)))
    return dict(zip(names, gallery.places(names).tolist(), strict=True))
