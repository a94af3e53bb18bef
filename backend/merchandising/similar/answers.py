"""The answers that stand in the table: for each product those most like it, as the endpoint would name them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from backend.merchandising.similar.listed import ListedIndex
from backend.merchandising.similar.near import distances_between
from backend.merchandising.similar.plain import first_of, looked_at
from backend.merchandising.similar.ruled import Named, Scopes, has_shifts, reserve
from backend.merchandising.similar.table import SAYS
from backend.retrieval.arrange import Asked, arranged
from backend.retrieval.rules.answering import RuledAnswers
from backend.retrieval.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.merchandising.similar.near import Near
    from backend.merchandising.similar.ruled import RulesAt
    from backend.merchandising.similar.source import Source
    from backend.retrieval.arrange import Shown


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers about P products.

    Attributes:
        own: Positions of the products asked about, (P,).
        positions: Their similar products in order, then -1; int64 (P, k).
        distances: How far these are, float32 (P, k).
        before: Rank of each without rules, 0 where it was not among the candidates; int32 (P, k).
        rules: The rules that moved a product, by its place among the P times k.
        reach: How far each answer looked, float32 (P,): what is farther cannot change it.
        far: How far it looked for products that a rule names, float32 (P,).
    """

    own: NDArray[np.int64]
    positions: NDArray[np.int64]
    distances: NDArray[np.float32]
    before: NDArray[np.int32]
    reach: NDArray[np.float32]
    far: NDArray[np.float32]
    rules: dict[int, str] = field(default_factory=dict)


class Answering:
    """Answers about products of one gallery, with the rules in force at a time.

    Args:
        source: The products.
        rules: The rules.
        k: Products of an answer.

    Attributes:
        named: Which products the rules name.
    """

    def __init__(self, source: Source, rules: RulesAt, *, k: int) -> None:
        self._source, self._k = source, k
        gallery, live = source.gallery, rules.live
        self.groups = gallery.codes("group_id")[1].astype(np.int64)
        self._wishes = Wishes().settled(has_groups=gallery.has_groups)
        self.named = Named(live, gallery)
        self._compiled = rules.compiled(gallery)
        self._scopes = Scopes(live, source, self.named, rules.pictures)
        self._judge = source.judge if has_shifts(live) else None

    def looked(self, own: NDArray[np.int64], near: Near) -> NDArray[np.float32]:
        """Return how far answers about products (P,) look where no rule changes them, (P,), infinity past their lists."""
        return looked_at(near, own, self.groups, self._k if self._compiled.is_empty else reserve(self._k))

    @property
    def line(self) -> str:
        """What decides which similarities are matches, where a rule depends on that."""
        return "" if self._judge is None else repr(self._judge)

    def may_change(self, own: NDArray[np.int64], near: Near, looked: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Tell which answers about products (P,) a rule may change, bool (P,)."""
        return self._scopes.lines(own, near, looked) & (near.horizon >= 0)

    def answer(self, own: NDArray[np.int64], near: Near) -> Answers:
        """Answer about products (P,) whose lists are given."""
        plain = first_of(near, own, self.groups, self._k)
        before = np.where(plain.positions >= 0, np.arange(1, self._k + 1), 0).astype(np.int32)
        far = plain.reach.copy() if self._compiled.is_empty else self.looked(own, near)
        found = Answers(own, plain.positions, plain.distances, before, plain.reach, far)
        for line in np.flatnonzero(~plain.is_known).tolist():
            self._search(found, line)
        if not self._compiled.is_empty:
            self._by_rules(found, near, np.flatnonzero(self.may_change(own, near, far)))
        return found

    def _search(self, found: Answers, line: int) -> None:
        """Answer about a product whose list is too short: many of its neighbours are of a few groups."""
        index, gallery, asked = self._source.index, self._source.gallery, self._asked(int(found.own[line]))
        shown = arranged(asked, index, gallery, self._source.manifest.pixels)
        self._put(found, line, shown)
        found.reach[line] = found.distances[line, -1]
        found.far[line] = max(found.far[line], found.reach[line])

    def _by_rules(self, found: Answers, near: Near, lines: NDArray[np.int64]) -> None:
        """Answer again where a rule may change the answer."""
        listed = ListedIndex(self._source.index, near)
        ruled = RuledAnswers(listed, self._source.gallery, self._source.manifest.pixels, self._judge)
        for line in lines.tolist():
            listed.choose(line)
            shown = ruled.shown(self._asked(int(found.own[line])), self._compiled)
            found.far[line] = listed.looked
            if shown is not None:  # which may depend on whatever was looked at
                self._put(found, line, shown)
                found.reach[line] = listed.looked

    def _asked(self, own: int) -> Asked:
        vectors = self._source.index.embeddings(np.array([own]))
        return Asked(vectors[0], vectors, self._k, self._wishes, (own,), self._allowed(own))

    def _put(self, found: Answers, line: int, shown: Sequence[Shown]) -> None:
        count, theirs = len(shown), np.array([one.position for one in shown], np.int64)
        found.positions[line], found.distances[line], found.before[line] = -1, np.inf, 0
        found.positions[line, :count] = theirs
        own = found.own[line].repeat(count)
        found.distances[line, :count] = distances_between(self._source.index, own, theirs)
        for at, one in enumerate(shown):
            found.before[line, at] = (one.before or 0) if one.is_ruled else at + 1
            if one.rules:
                found.rules[line * self._k + at] = ",".join(one.rules)

    def _allowed(self, own: int) -> NDArray[np.bool_]:
        """Return which products may be answered about one: all but itself and its variants, bool (N,)."""
        group = self.groups[own]
        allowed: NDArray[np.bool_] = self.groups != group if group >= 0 else np.ones(len(self.groups), dtype=np.bool_)
        allowed[own] = False
        return allowed


def as_rows(found: Answers, ids: pa.Array) -> pa.Table:
    """Return answers as rows of the table, in the order of the products asked about and of the ranks.

    Args:
        found: The answers.
        ids: Of all products of the gallery.
    """
    lines, ranks = np.nonzero(found.positions >= 0)
    own, theirs = found.own[lines], found.positions[lines, ranks]
    before = found.before[lines, ranks]
    places = (lines * found.positions.shape[1] + ranks).tolist() if found.rules else []
    columns = [
        ids.take(pa.array(own)),
        pa.array((ranks + 1).astype(np.int32)),
        ids.take(pa.array(theirs)),
        pa.array(np.float32(1.0) - found.distances[lines, ranks]),
        pa.array(before, mask=before == 0),
        pa.array([found.rules.get(place) for place in places]) if places else pa.nulls(len(own), pa.string()),
    ]
    return pa.table(columns, schema=SAYS)
