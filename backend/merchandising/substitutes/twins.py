"""The best twins of products among all that are allowed: every pair of pictures is compared, none is missed.

A twin is a match by the line that the endpoint calls a match from, can be bought, and is within the limits. Why a product
has none is told by the first condition that leaves none over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from backend.errors import RetrievalError
from backend.merchandising.similar.near import pictures_of
from backend.merchandising.substitutes.shelf import SAME
from backend.retrieval.indexes.exact import NEAR_TIE, pair_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.merchandising.similar.source import Source
    from backend.merchandising.substitutes.shelf import Shelf
    from backend.progress import Progress
    from backend.retrieval.closeness import Judge

Reason = Literal["", "no match", "none in stock", "of another kind", "no price", "price"]
REASONS: tuple[Reason, ...] = get_args(Reason)
MOST_TWINS = 20
_CELLS = 16_000_000  # similarities held at once: 64 MB
_HALVINGS = 60
_ROUNDING = 1e-9  # of a price
_HUNDRED = 100.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a twin has to fulfil beside being a match that can be bought.

    Attributes:
        price: How far its price may be from the product's, percent; None: any price.
        at_least: Share of the product's price that it has to cost at least, percent; 0: any.
        same: What it has to share with the product: some of ``SAME``.
        unknown: Whether products whose stock is not stated count as in stock.
    """

    price: float | None = 15.0
    at_least: float = 0.0
    same: tuple[str, ...] = ()
    unknown: bool = False

    def __post_init__(self) -> None:
        if (self.price is not None and not self.price >= 0.0) or not 0.0 <= self.at_least < np.inf:
            raise RetrievalError("A price limit must be a number from 0.", next_step="For example 15 percent.")
        if unknown := [name for name in self.same if name not in SAME]:
            raise RetrievalError(f"Twins cannot be limited by {unknown[0]!r:.40}.", next_step=f"Use {', '.join(SAME)}.")

    @property
    def by_price(self) -> bool:
        """Whether prices are compared at all."""
        return self.price is not None or self.at_least > 0.0

    def bounds(self, prices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lowest and the highest price of a twin of products with these prices, (S,) each."""
        off = np.inf if self.price is None else self.price / _HUNDRED
        low = prices * max(1.0 - off, self.at_least / _HUNDRED, 0.0)
        return low - prices * _ROUNDING, prices * (1.0 + off + _ROUNDING) if np.isfinite(off) else prices + np.inf


@dataclass(frozen=True, slots=True)
class Seeds:
    """What twins are wanted of: S products of the gallery, or pictures of others.

    Attributes:
        vectors: Their embeddings, float32 (S, D).
        positions: Where they are in the gallery, int64 (S,); -1 for a picture of something else.
    """

    vectors: NDArray[np.float32]
    positions: NDArray[np.int64]

    @classmethod
    def at(cls, source: Source, positions: NDArray[np.int64]) -> Seeds:
        """Return products of the gallery as seeds."""
        return cls(source.index.embeddings(positions), positions)


@dataclass(frozen=True, slots=True)
class Found:
    """The twins of S seeds.

    Attributes:
        positions: Where they are in the gallery, best first, then -1; int64 (S, k).
        similarities: Cosine similarities, then 0; float32 (S, k).
        reasons: Why a seed has none; empty where it has one; (S,).
    """

    positions: NDArray[np.int64]
    similarities: NDArray[np.float32]
    reasons: NDArray[np.str_]

    @property
    def has_twin(self) -> NDArray[np.bool_]:
        """Which seeds have a twin, bool (S,)."""
        found: NDArray[np.bool_] = self.reasons == ""
        return found


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Seeds of a block and pictures that are near to them, pair by pair in the order of the seeds."""

    lines: NDArray[np.int64]
    pictures: NDArray[np.int64]
    similarities: NDArray[np.float32]

    def where(self, mask: NDArray[Any]) -> _Pairs:
        return _Pairs(self.lines[mask], self.pictures[mask], self.similarities[mask])


def match_line(judge: Judge) -> float:
    """Return the lowest float32 similarity that is a match where nothing is nearer; infinity where nothing ever is one."""
    low, high = -1.0, 1.0
    if not judge.verdict(high).is_match:
        return float("inf")
    for _ in range(_HALVINGS):  # a verdict never falls with the similarity
        middle = (low + high) / 2
        low, high = (low, middle) if judge.verdict(middle).is_match else (middle, high)
    line = np.float32(high)  # which may be the float32 below it
    return float(line if line >= np.float64(high) else np.nextafter(line, np.float32(np.inf)))


class Comparing:
    """Compares seeds with all pictures of a gallery.

    Args:
        source: The gallery.
        shelf: What the catalogue says of its products.
        limits: What a twin has to fulfil.
        allowed: Products that may be twins, bool (N,); all that can be bought where left out.
    """

    def __init__(
        self, source: Source, shelf: Shelf, limits: Limits, *, allowed: NDArray[np.bool_] | None = None
    ) -> None:
        self._shelf, self._limits = shelf, limits
        self._owners, self._vectors = pictures_of(source.index, np.arange(source.index.size))
        self._allowed = shelf.can_be_bought(unknown=limits.unknown) if allowed is None else allowed
        self._line = match_line(source.judge)
        groups = shelf.codes("group_id").astype(np.int64)
        # Variants of one product count once: a group, or the product itself, is a unit.
        self._units = np.where(groups >= 0, groups, groups.max(initial=-1) + 1 + np.arange(len(groups)))
        self._most = int(np.bincount(self._units[self._owners]).max(initial=1))
        self._currencies = shelf.codes("currency")

    def twins(self, seeds: Seeds, k: int, progress: Progress) -> Found:
        """Find the k best twins of each seed.

        Raises:
            RetrievalError: ``k`` is not possible.
            Cancelled: The user asked to stop.
        """
        if not 1 <= k <= MOST_TWINS:
            raise RetrievalError(f"{k} substitutes each are not possible.", next_step=f"Use 1 to {MOST_TWINS}.")
        total, step = len(seeds.positions), max(1, _CELLS // max(1, len(self._owners)))
        found = Found(np.full((total, k), -1), np.zeros((total, k), np.float32), np.full(total, "no match", "U16"))
        for start in range(0, total, step):
            progress.report(start, total, unit="products", note="Comparing products")
            progress.check_cancelled()
            part = slice(start, start + step)
            own, vectors = seeds.positions[part], seeds.vectors[part]
            pairs, reasons = self._within(own, self._near(vectors))
            lines, places, ranks, similarities = self._best(self._fewer(pairs, k), vectors, k)
            found.positions[part][lines, ranks] = places
            found.similarities[part][lines, ranks] = similarities
            found.reasons[part] = reasons
        progress.report(total, total, unit="products", note="Comparing products")
        return found

    def _near(self, vectors: NDArray[np.float32]) -> _Pairs:
        """Return all matches; what is about on the line is computed again as answers are."""
        table = vectors @ self._vectors.T
        lines, pictures = np.nonzero(table >= self._line - NEAR_TIE)
        pairs = _Pairs(lines, pictures, table[lines, pictures])
        is_match = pairs.similarities >= self._line
        about = np.flatnonzero(np.abs(pairs.similarities - self._line) <= NEAR_TIE)
        is_match[about] = self._exactly(pairs.where(about), vectors) >= self._line
        return pairs.where(is_match)

    def _within(self, own: NDArray[np.int64], pairs: _Pairs) -> tuple[_Pairs, NDArray[np.str_]]:
        """Leave out what a limit forbids; returns also why nothing is left of a seed."""
        reasons = np.full(len(own), "", "U16")
        for reason in REASONS[1:]:
            pairs = pairs.where(self._passing(reason, own[pairs.lines], self._owners[pairs.pictures]))
            is_left = np.bincount(pairs.lines, minlength=len(own)) > 0
            reasons[~is_left & (reasons == "")] = reason
        return pairs, reasons

    def _passing(self, reason: Reason, own: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which pairs of products pass one condition; a picture of something else passes what needs a product."""
        found = np.ones(len(own), dtype=np.bool_)
        if reason == "no match":
            found = (self._units[own] != self._units[other]) & self._shelf.is_offered[other]
        elif reason == "none in stock":
            return self._allowed[other]
        elif reason == "of another kind":
            for name in self._limits.same:
                codes = self._shelf.codes(name)
                found &= (codes[own] == codes[other]) & (codes[own] >= 0)
        elif self._limits.by_price:
            prices, low, high = self._shelf.prices, *self._limits.bounds(self._shelf.prices)
            is_priced = ~np.isnan(prices[own])
            in_reach = (low[own] <= prices[other]) & (prices[other] <= high[own])
            found = is_priced if reason == "no price" else in_reach & (self._currencies[own] == self._currencies[other])
        return found | (own < 0)

    def _fewer(self, pairs: _Pairs, k: int) -> _Pairs:
        """Leave out what cannot be among the k best of a seed, however many pictures and variants they have."""
        wanted = k * self._most
        counts = np.bincount(pairs.lines) if len(pairs.lines) else np.empty(0, np.int64)
        starts = np.cumsum(counts) - counts
        keep = np.ones(len(pairs.lines), dtype=np.bool_)
        for line in np.flatnonzero(counts > wanted).tolist():
            part = slice(starts[line], starts[line] + counts[line])
            values = pairs.similarities[part]
            keep[part] = values >= np.partition(values, -wanted)[-wanted] - NEAR_TIE
        return pairs.where(keep)

    def _best(
        self, pairs: _Pairs, vectors: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return seeds, twins, their ranks from 0 and similarities: one of each unit, equal ones by their position."""
        exact, owners = self._exactly(pairs, vectors), self._owners[pairs.pictures]
        order = np.lexsort((owners, -exact, pairs.lines))
        keys = pairs.lines[order] * (self._units.max(initial=0) + 1) + self._units[owners[order]]
        order = order[np.sort(np.unique(keys, return_index=True)[1])]
        lines = pairs.lines[order]
        ranks = np.arange(len(lines)) - np.searchsorted(lines, lines)
        best = order[ranks < k]
        return pairs.lines[best], owners[best], ranks[ranks < k], exact[best]

    def _exactly(self, pairs: _Pairs, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = 1.0 - pair_distances(vectors[pairs.lines], self._vectors[pairs.pictures])
        return found
