"""Which answers rules touch from one state of the table to another: rules that changed, and products that they name.

A rule that moves or hides products changes an answer by a product that the answer looked at; one that brings a product in
changes every answer that it is for. A product that fulfils a condition now and did not, or the other way round, counts as
named by a rule that changed.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from backend.merchandising.similar.ruled import BRINGING, Named, Scopes, passes
from backend.retrieval.rules.rule import NAMED_BY, SHIFTS
from backend.retrieval.rules.rule_set import as_plain, from_plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.merchandising.similar.answers import Answering
    from backend.merchandising.similar.kept import Kept
    from backend.merchandising.similar.moves import Moves
    from backend.merchandising.similar.near import Near, Pairs
    from backend.merchandising.similar.ruled import RulesAt
    from backend.merchandising.similar.source import Source
    from backend.retrieval.rules.rule import Rule


class RuleMoves:
    """What rules have to do with what changed.

    Args:
        kept: The state before.
        source: The products now.
        rules: The rules now.
        moves: What became of the products.
        answering: What answers now.
    """

    def __init__(self, kept: Kept, source: Source, rules: RulesAt, moves: Moves, answering: Answering) -> None:
        self._kept, self._source, self._moves, self._answering = kept, source, moves, answering
        self._rules = rules
        self._before = [from_plain(one) for one in kept.rules["rules"]]
        then, now = (
            {json.dumps(as_plain(rule), sort_keys=True): rule for rule in some} for some in (self._before, rules.live)
        )
        self._changed = [then[key] for key in then.keys() - now.keys()] + [now[key] for key in now.keys() - then.keys()]
        self._same = [now[key] for key in then.keys() & now.keys()]

    @property
    def are_there(self) -> bool:
        """Whether there were any rules, or are."""
        return bool(self._before or self._rules.live)

    @cached_property
    def is_named(self) -> NDArray[np.bool_]:
        """Which products a rule of now names, bool (N,)."""
        return self._answering.named.all

    def touched(
        self, near: Near, far: NDArray[np.float32], looked: NDArray[np.float32], pairs: Pairs
    ) -> NDArray[np.bool_]:
        """Tell which answers are to be found again, bool (N,).

        Args:
            near: The lists of now.
            far: How far the answers looked.
            looked: How far they look now where no rule changes them.
            pairs: What came near to the products that stay.
        """
        size = self._source.gallery.size
        if not self.are_there:
            return np.zeros(size, dtype=np.bool_)
        said = self._moved | self._renamed
        found: NDArray[np.bool_] = self._renamed.copy()
        is_beyond = (far >= near.horizon) | passes(near, looked)
        everyone, within = np.arange(size), np.maximum(far, looked)
        may_change = self._answering.may_change(everyone, near, looked)
        if self._moves.are_there:
            # Where candidates left, or are the same as others, further ones follow, which a rule may name.
            found |= may_change & (self._have_come(far, pairs) | (looked > far) | is_beyond)
        if said.any():
            found |= near.holds(said, within=within) | is_beyond
        if self._answering.line != self._kept.rules["line"]:
            shifted = self._answering.named.by(rule for rule in self._rules.live if rule.action in SHIFTS)
            found |= may_change & (near.holds(shifted, within=within) | is_beyond)
        if brings := self._bringing(self._moved):
            scopes = Scopes(brings, self._source, Named(brings, self._source.gallery), self._rules.pictures)
            found |= scopes.lines(everyone, near, looked)
        return found

    def _have_come(self, far: NDArray[np.float32], pairs: Pairs) -> NDArray[np.bool_]:
        """Tell which answers a product that a rule names came as near to as they looked, bool (N,)."""
        found = np.zeros(len(far), dtype=np.bool_)
        rows = self._moves.stays[pairs.rows]
        is_near = (pairs.distances <= far[rows]) & self.is_named[pairs.positions]
        found[rows[is_near]] = True
        return found

    def _bringing(self, moved: NDArray[np.bool_]) -> list[Rule]:
        """Return the rules that bring a product in and changed, or whose product may or may not be shown now."""
        different = moved.copy()
        different[self._moves.fresh] = True
        moved_ids = self._source.ids.take(np.flatnonzero(different))
        ids = {*self._moves.gone.to_pylist(), *moved_ids.to_pylist()}
        changed = [rule for rule in self._changed if rule.action in BRINGING]
        others = [rule for rule in self._same if rule.action in BRINGING]
        hit = [rule for rule in others if not ids.isdisjoint(rule.products)]
        # A fall-back that may not be shown has its own, and so on.
        fall_backs = [rule for rule in others if rule.action == "fall-back"]
        is_one_hit = any(rule.action == "fall-back" for rule in (*changed, *hit))
        return [*changed, *hit, *(fall_backs if is_one_hit else ())]

    @cached_property
    def _moved(self) -> NDArray[np.bool_]:
        """Which products a rule says something else of than it did, bool (N,)."""
        plain = [rule for rule in self._changed if rule.action not in BRINGING]
        gallery, stays = self._source.gallery, self._moves.stays
        found = Named(plain, gallery).by(plain)
        then, now = self._conditions_then, self._answering.named
        traits = np.unpackbits(now.traits, axis=1, bitorder="little").astype(np.bool_)
        was = self._fulfilled[self._moves.places[stays]]
        theirs = {where for rule in plain for where in [rule.where] if where}
        for number, where in enumerate(then):
            if where in now.conditions:
                found[stays] |= was[:, number] != traits[stays, now.conditions.index(where)]
            elif where in theirs:
                found[stays] |= was[:, number]
        return found

    @cached_property
    def _renamed(self) -> NDArray[np.bool_]:
        """Which products have another name in a column that rules may go by, where a rule does."""
        found = np.zeros(self._source.gallery.size, dtype=np.bool_)
        if any(rule.scope.kind in NAMED_BY for rule in (*self._before, *self._rules.live)):
            stays = self._moves.stays
            found[stays] = self._kept.names[self._moves.places[stays]] != self._source.names[stays]
        return found

    @cached_property
    def _conditions_then(self) -> list[tuple[tuple[str, object], ...]]:
        return list(dict.fromkeys(rule.where for rule in self._before if rule.where))

    @cached_property
    def _fulfilled(self) -> NDArray[np.bool_]:
        """Which of the earlier products fulfilled which condition, bool (M, C)."""
        bits = np.unpackbits(self._kept.traits, axis=1, bitorder="little")
        found: NDArray[np.bool_] = bits[:, : len(self._conditions_then)].astype(np.bool_)
        return found
