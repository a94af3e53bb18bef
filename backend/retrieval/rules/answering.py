"""An answer with rules: found with a reserve, brought together, and put into the order that rules give it.

Where no rule touches a question, nothing here changes it: the caller answers as if there were no rules at all.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backend.retrieval.arrange import Collapser, arranged, fetched, varied
from backend.retrieval.closeness import SAME_PICTURE, Judge
from backend.retrieval.indexes.further import likeness
from backend.retrieval.rules.compiled import Context
from backend.retrieval.rules.order import Candidate, Effects, ordered, settled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from backend.imaging.spec import PixelSpec
    from backend.retrieval.arrange import Asked, Shown
    from backend.retrieval.gallery.gallery import Gallery
    from backend.retrieval.indexes.index import Index
    from backend.retrieval.rules.compiled import CompiledRules


class Ruled(NamedTuple):
    """The products of an answer in their order, None where no rule changes it, and the ids of all rules for it."""

    shown: list[Shown] | None = None
    touching: tuple[str, ...] = ()


class RuledAnswers:
    """Answers questions by rules, over one index and its gallery; threads may share it.

    Args:
        index: What is searched, of N items.
        gallery: The items.
        spec: The pixels that two pictures are compared by.
        judge: Says which similarities are matches; without one, no product has a line to stay on one side of.
    """

    def __init__(self, index: Index, gallery: Gallery, spec: PixelSpec, judge: Judge | None) -> None:
        self._index, self._gallery, self._spec, self._judge = index, gallery, spec, judge
        self._collapser = partial(Collapser, gallery, spec)

    def shown(self, asked: Asked, rules: CompiledRules | None) -> list[Shown] | None:
        """Return the products of an answer in their order; None where no rule changes it."""
        return self.answered(asked, rules).shown

    def answered(self, asked: Asked, rules: CompiledRules | None) -> Ruled:
        """Return the products of an answer, and which rules are for it, also those that change nothing."""
        if rules is None or rules.is_empty:
            return Ruled()
        collapser = self._collapser(asked.wishes.collapse)
        found, distinct = fetched(asked, self._index, collapser, asked.reserve)
        buckets = rules.touching(self._context(asked, self._open(asked, found, rules)))
        touching = tuple(dict.fromkeys(name for bucket in buckets for name in bucket.rules))
        allowed = rules.allowed(buckets, asked.allowed)
        positions = found if allowed is None else found[allowed[found]]
        is_whole = len(positions) == len(found)
        if not is_whole and len(distinct) == asked.reserve:
            left = collapser.distinct(positions, self._index)
            if 2 * len(left) < asked.reserve:  # blocks took too much of the reserve
                positions, _ = fetched(replace(asked, allowed=allowed), self._index, collapser, asked.reserve)
        effects = rules.effects(buckets, positions, allowed)
        if not effects and is_whole:
            return Ruled(None, touching)
        return Ruled(self._arranged(asked, distinct, positions, effects), touching)

    def _open(self, asked: Asked, found: NDArray[np.int64], rules: CompiledRules) -> NDArray[np.int64]:
        """Return what was found without what no answer may show; the nearest at least, however far that is."""
        if rules.closed is None or not len(found):
            return found
        near = found[~rules.closed[found]]
        if len(near):
            return near
        allowed = rules.allowed((), asked.allowed)
        nearest: NDArray[np.int64] = self._index.search(asked.towards[None], k=1, allowed=allowed).positions[0]
        return nearest

    def _context(self, asked: Asked, near: NDArray[np.int64]) -> Context:
        nearest = int(near[0]) if len(near) else None
        products = asked.products
        if nearest is not None and not products:
            alike = likeness(self._index, near[:1], asked.towards[None])[0, 0]
            products = (nearest,) if alike >= SAME_PICTURE else ()
        return Context(products, nearest, asked.vectors)

    def unruled(self, asked: Asked) -> list[Shown]:
        """Return the products of an answer without any rule."""
        shown = arranged(asked, self._index, self._gallery, self._spec)
        if not asked.wishes.match_only or not shown:
            return shown
        places = np.asarray([one.position for one in shown], dtype=np.int64)
        alike = likeness(self._index, places, asked.towards[None])[:, 0].tolist()
        matches = self._matches(alike, asked)
        return [one for one, is_match in zip(shown, matches, strict=True) if is_match is not False]

    def _arranged(
        self, asked: Asked, unruled: Sequence[Shown], positions: NDArray[np.int64], effects: Effects
    ) -> list[Shown]:
        is_sorted = asked.wishes.sort != "similarity"
        effects = Effects(fall_backs=effects.fall_backs) if is_sorted else effects
        before = {one.position: rank for rank, one in enumerate(unruled, 1)}
        pins = [pin.position for pin in settled(effects.pins).values()]
        filling = [position for position, _ in effects.fall_backs]
        shown = {one.position: one for one in self._distinct(asked, positions, first=pins, last=filling)}
        effects = replace(effects, fall_backs=[one for one in effects.fall_backs if one[0] in shown])
        candidates = self._candidates(asked, [one for one in positions.tolist() if one in shown], effects)
        line = min((one.similarity for one in candidates if one.is_match), default=None)
        vary = partial(self._varied, asked) if asked.wishes.diversity and not is_sorted else None
        placed = ordered(candidates, effects, k=asked.k, line=line, match_only=asked.wishes.match_only, vary=vary)
        return [
            shown[one.position]._replace(is_ruled=True, before=before.get(one.position), rules=one.rules)
            for one in placed
        ]

    def _distinct(
        self, asked: Asked, positions: NDArray[np.int64], first: Sequence[int], last: Sequence[int]
    ) -> list[Shown]:
        """Bring together what is the same; what is pinned stands for its group, whatever else is nearer."""
        order = np.fromiter(dict.fromkeys([*first, *positions.tolist(), *last]), dtype=np.int64)
        return self._collapser(asked.wishes.collapse).distinct(order, self._index, kept=len(first))

    def _candidates(self, asked: Asked, positions: Sequence[int], effects: Effects) -> list[Candidate]:
        """Return candidates in the order of the search; whether each is a match where somebody needs to know."""
        places = np.asarray(positions, dtype=np.int64)
        # A search rescores, so that its order is the same for all sizes; here the last bit may say otherwise.
        alike = np.minimum.accumulate(likeness(self._index, places, asked.towards[None])[:, 0]).tolist()
        is_judged = bool(effects.shifts.of) or asked.wishes.match_only
        matches = self._matches_down(alike, asked) if is_judged else [None] * len(alike)
        return [Candidate(*one) for one in zip(positions, alike, matches, strict=True)]

    def _matches(self, alike: Sequence[float], asked: Asked) -> list[bool | None]:
        if self._judge is None:
            return [None] * len(alike)
        judged = partial(self._judge.verdict, nearest=max(alike, default=-1.0), is_strange=asked.is_strange)
        return [judged(one).is_match for one in alike]

    def _matches_down(self, alike: Sequence[float], asked: Asked) -> list[bool | None]:
        """Return the same for similarities that never rise: matches come first, and what follows them is of one kind."""
        ends = [*alike[:1], *alike[-1:]]
        if self._judge is None or len(set(self._matches(ends, asked))) < 2:
            return [*self._matches(ends, asked)[-1:]] * len(alike)
        judged = partial(self._judge.verdict, nearest=alike[0], is_strange=asked.is_strange)
        matches = bisect_left(alike, True, key=lambda one: judged(one).is_match is not True)
        return [True] * matches + [judged(alike[-1]).is_match] * (len(alike) - matches)

    def _varied(self, asked: Asked, order: Sequence[int], scores: Mapping[int, float]) -> list[int]:
        vectors = self._index.embeddings(np.asarray(order, dtype=np.int64))
        worth = np.asarray([scores[one] for one in order], dtype=np.float32)
        chosen = varied(worth, vectors, k=asked.k, diversity=asked.wishes.diversity)
        return [order[place] for place in chosen.tolist()]
