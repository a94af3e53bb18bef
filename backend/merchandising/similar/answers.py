"""The answers that stand in the table: for each product those most like it, as the endpoint would name them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from backend.merchandising.similar.near import distances_between
from backend.merchandising.similar.plain import first_of
from backend.merchandising.similar.table import SAYS
from backend.retrieval.arrange import arranged
from backend.retrieval.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.imaging.spec import PixelSpec
    from backend.merchandising.similar.near import Near
    from backend.retrieval.gallery.gallery import Gallery
    from backend.retrieval.indexes.index import Index


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
    """Answers about products of one gallery.

    Args:
        index: The gallery's.
        gallery: The products.
        spec: The pixels that two pictures are compared by.
        k: Products of an answer.
    """

    def __init__(self, index: Index, gallery: Gallery, spec: PixelSpec, *, k: int) -> None:
        self._index, self._gallery, self._spec, self._k = index.exact, gallery, spec, k
        self.groups = gallery.codes("group_id")[1].astype(np.int64)
        self._wishes = Wishes().settled(has_groups=gallery.has_groups)

    @property
    def least(self) -> int:
        """Products that a list should hold for an answer."""
        return self._k

    def answer(self, own: NDArray[np.int64], near: Near) -> Answers:
        """Answer about products (P,) whose lists are given."""
        plain = first_of(near, own, self.groups, self._k)
        before = np.where(plain.positions >= 0, np.arange(1, self._k + 1), 0).astype(np.int32)
        found = Answers(own, plain.positions, plain.distances, before, plain.reach, plain.reach.copy())
        for line in np.flatnonzero(~plain.is_known).tolist():
            self._search(found, line)
        return found

    def _search(self, found: Answers, line: int) -> None:
        """Answer about a product whose list is too short: many of its neighbours are of a few groups."""
        own = int(found.own[line])
        asked, allowed = self._index.embeddings(found.own[line : line + 1])[0], self.allowed(own)
        shown = arranged(asked, self._index, self._gallery, self._spec, k=self._k, allowed=allowed, wishes=self._wishes)
        self._put(found, line, [one.position for one in shown])
        found.before[line, : len(shown)] = np.arange(1, len(shown) + 1)
        found.reach[line] = found.far[line] = found.distances[line, -1]

    def _put(self, found: Answers, line: int, positions: Sequence[int]) -> None:
        count, theirs = len(positions), np.asarray(positions, np.int64)
        found.positions[line], found.distances[line] = -1, np.inf
        found.positions[line, :count] = theirs
        found.distances[line, :count] = distances_between(self._index, found.own[line].repeat(count), theirs)

    def allowed(self, own: int) -> NDArray[np.bool_]:
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
