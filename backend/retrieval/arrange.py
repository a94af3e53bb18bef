"""From pictures and wishes to what is searched for, and from the nearest products to those that are shown.

Sources: Rocchio, "Relevance feedback in information retrieval", 1971 (staying away from what is not liked); Carbonell and
Goldstein, "The use of MMR, diversity-based reranking", 1998 (variety).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backend.errors import RetrievalError
from backend.imaging import pixels as imaging
from backend.retrieval.indexes.further import ONLY_PICTURE, Picture, likeness
from backend.retrieval.indexes.weighed import weigh

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from backend.imaging.spec import PixelSpec
    from backend.retrieval.gallery.gallery import Gallery, GalleryItem
    from backend.retrieval.indexes.index import Index
    from backend.retrieval.wishes import Collapse, Sort, Wishes

# Candidates that are looked at where the answer is not simply the nearest: a few for each one shown, and at most so many.
_CANDIDATES_EACH, _CANDIDATES, _MOST_CANDIDATES = 4, 60, 2_000
AWAY = 0.5  # how much of what is not liked is taken off what is
_SHORTEST = 1e-3  # of a mean of unit vectors that still points somewhere
_SAME_LOOK = 4.0  # mean difference of two pictures, of 255, up to which nobody tells them apart
_ALIKE = 0.9  # cosine similarity below which two pictures need not be compared
_SIZES = frozenset({"xs", "s", "m", "l", "xl", "xxl", "xxxl"})


class Shown(NamedTuple):
    """One product of an answer, and those that are the same and are not shown: positions in the gallery.

    ``picture`` is which of its pictures was found; see :func:`backend.retrieval.indexes.further.shown_picture`.
    Where rules changed the answer, ``before`` is its rank without them, and ``rules`` are those that moved it.
    """

    position: int
    hidden: tuple[int, ...] = ()
    picture: Picture = ONLY_PICTURE
    is_ruled: bool = False
    before: int | None = None
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is searched for.

    Attributes:
        towards: What is searched for, a unit vector (D,) of the index's weight.
        vectors: What is asked, as the model has it, (P, D).
        products: Positions of the products asked about.
        k: Places of the answer.
        allowed: Items that pass the asker's filters, bool (N,); all when left out.
        wishes: How the answer is to be.
        is_strange: Whether what is asked is like nothing that the network knows; None where that is not known.
    """

    towards: NDArray[np.float32]
    vectors: NDArray[np.float32]
    k: int
    wishes: Wishes
    products: tuple[int, ...] = ()
    allowed: NDArray[np.bool_] | None = None
    is_strange: bool | None = None

    @property
    def reserve(self) -> int:
        """Candidates that are fetched, so that rules can bring products in from behind the last place."""
        return max(_CANDIDATES_EACH * self.k, _CANDIDATES)


@dataclass(frozen=True, slots=True)
class Sought:
    """What pictures look for together.

    Attributes:
        wanted: What they show, a unit vector (D,) of the weight that the index is asked with.
        towards: The same, turned away from what is to be stayed away from; this is searched for.
        parts: What they show, and each of them, as the model has it; (1 + P, D).
    """

    wanted: NDArray[np.float32]
    towards: NDArray[np.float32]
    parts: NDArray[np.float32]

    @classmethod
    def of(
        cls, liked: NDArray[np.float32], unliked: NDArray[np.float32], weights: Sequence[float], index: Index
    ) -> Sought:
        """Combine embeddings of the model, liked (P, D) and not liked (U, D); see :func:`combined`."""
        wanted = combined(weigh(liked, index), weights)
        parts = np.concatenate([combined(liked, weights)[None], liked])
        return cls(wanted, away_from(wanted, weigh(unliked, index)), parts)

    def measured(
        self, shown: Sequence[Shown], index: Index, own: Index
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return distances of products as they are asked for, (S,), and how alike they are as the model has it, (S,).

        What is close to one of several pictures is close, however unlike they are to each other.
        """
        positions = np.asarray([one.position for one in shown], dtype=np.int64)
        distances = (1.0 - likeness(index, positions, self.wanted[None])[:, 0]).clip(0.0, 2.0)
        return distances, likeness(own, positions, self.parts).max(axis=1)


def combined(liked: NDArray[np.float32], weights: Sequence[float] = ()) -> NDArray[np.float32]:
    """Return the mean direction of several embeddings (P, D), as a unit vector (D,).

    Args:
        liked: Unit vectors, one or more.
        weights: How much each counts; all the same where empty.

    Raises:
        RetrievalError: There are not as many weights as embeddings, or the embeddings cancel each other out.
    """
    if weights and len(weights) != len(liked):
        raise RetrievalError(
            f"There are {len(weights)} weights for {len(liked)} pictures.", next_step="Give one weight per picture."
        )
    if len(liked) == 1:
        only: NDArray[np.float32] = liked[0]
        return only
    return _unit(np.average(liked.astype(np.float64), axis=0, weights=list(weights) or None))


def away_from(wanted: NDArray[np.float32], unliked: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn a direction (D,) away from the mean of embeddings (U, D); as it was where there are none."""
    if not len(unliked):
        return wanted
    return _unit(wanted.astype(np.float64) - AWAY * unliked.astype(np.float64).mean(axis=0))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    if length < _SHORTEST:
        raise RetrievalError("The pictures are too different to combine.", next_step="Use fewer at once.")
    found: NDArray[np.float32] = (vector / length).astype(np.float32)
    return found


def arranged(asked: Asked, index: Index, gallery: Gallery, spec: PixelSpec) -> list[Shown]:
    """Search for enough candidates, bring those together that are the same, and choose k among the rest.

    Args:
        asked: What is searched for.
        index: What is searched in.
        gallery: What is shown of its items.
        spec: The pixels that two pictures are compared by.
    """
    wishes, towards = asked.wishes, asked.towards[None]
    wanted = asked.reserve if wishes.diversity else asked.k
    _, shown = fetched(asked, index, Collapser(gallery, spec, wishes.collapse), wanted)
    if not wishes.diversity:
        return shown
    chosen = np.asarray([one.position for one in shown], dtype=np.int64)
    alike, vectors = likeness(index, chosen, towards)[:, 0], index.embeddings(chosen)
    return [shown[place] for place in varied(alike, vectors, k=asked.k, diversity=wishes.diversity)]


def fetched(asked: Asked, index: Index, collapser: Collapser, wanted: int) -> tuple[NDArray[np.int64], list[Shown]]:
    """Search until so many products are different, as far as there are so many.

    Returns:
        The positions found, nearest first, and at most ``wanted`` products, those that are the same brought together.
    """
    count = wanted
    while True:
        positions = index.search(asked.towards[None], k=count, allowed=asked.allowed).positions[0]
        shown = collapser.distinct(positions, index)[:wanted]
        if len(shown) >= wanted or len(positions) < count or count >= _MOST_CANDIDATES:
            return positions, shown
        count *= 2


def without(allowed: NDArray[np.bool_] | None, positions: NDArray[np.int64], size: int) -> NDArray[np.bool_] | None:
    """Return which of N items may be answered where some may not: bool (N,), or None for all as before."""
    if not len(positions):
        return allowed
    left = np.ones(size, dtype=np.bool_) if allowed is None else allowed.copy()
    left[positions] = False
    return left


def by_price(shown: Sequence[Shown], gallery: Gallery, sort: Sort) -> list[Shown]:
    """Return products in the order of a sort: by price, those without one last; in their order for equal prices."""
    if sort == "similarity":
        return list(shown)
    sign = -1.0 if sort == "price_desc" else 1.0
    prices = [one.price for one in gallery.items([one.position for one in shown])]
    worth = [math.inf if price is None else sign * price for price in prices]
    return [shown[place] for place in sorted(range(len(shown)), key=worth.__getitem__)]


def varied(
    similarities: NDArray[np.float32], vectors: NDArray[np.float32], *, k: int, diversity: float
) -> NDArray[np.int64]:
    """Choose k of P candidates by maximal marginal relevance: near to what is asked, and unlike those chosen before.

    Args:
        similarities: Of the candidates to what is asked, (P,).
        vectors: Their embeddings, (P, D).
        k: How many to choose; all P where there are fewer.
        diversity: 0 chooses the nearest, 1 looks at nothing but how unlike they are; the first is always the nearest.

    Returns:
        Their places among the candidates, in the order chosen.
    """
    left = np.ones(len(similarities), dtype=np.bool_)
    likest = np.full(len(similarities), -1.0, dtype=np.float32)  # similarity to the likest that was chosen
    chosen: list[int] = []
    for _ in range(min(k, len(similarities))):
        worth = (1.0 - diversity) * similarities - diversity * likest if chosen else similarities
        best = int(np.argmax(np.where(left, worth, -np.inf)))
        chosen.append(best)
        left[best] = False
        likest = np.maximum(likest, vectors @ vectors[best])
    return np.asarray(chosen, dtype=np.int64)


class Collapser:
    """Brings products that are the same together, the nearest one first.

    Args:
        gallery: Where the products are.
        spec: The pixels that two pictures are compared by.
        collapse: What counts as the same.
    """

    def __init__(self, gallery: Gallery, spec: PixelSpec, collapse: Collapse) -> None:
        self._gallery, self._spec, self._collapse = gallery, spec, collapse
        self._looks: dict[int, NDArray[np.float32]] = {}

    def distinct(self, positions: NDArray[np.int64], index: Index, *, kept: int = 0) -> list[Shown]:
        """Return products (P,) of an index in their order, each with those that are the same.

        The first ``kept`` are all shown, be they the same or not.
        """
        if self._collapse == "none":
            return [Shown(position) for position in positions.tolist()]
        vectors = index.embeddings(positions)
        alike = None if self._collapse == "groups" else vectors @ vectors.T >= _ALIKE
        leaders: list[int] = []  # places among the P
        hidden: dict[int, list[int]] = {}
        of_variant: dict[Hashable, int] = {}
        for place, position in enumerate(positions.tolist()):
            key = self._variant(position)
            leader = of_variant.get(key) if key is not None else None
            if leader is None and alike is not None:
                near = (one for one in leaders if alike[place, one])
                leader = next((one for one in near if self._look_the_same(position, int(positions[one]))), None)
            if leader is None or place < kept:
                leaders.append(place)
                hidden[place] = []
            else:
                hidden[leader].append(position)
            if key is not None:
                of_variant.setdefault(key, place if leader is None or place < kept else leader)
        return [Shown(int(positions[place]), tuple(hidden[place])) for place in leaders]

    def _variant(self, position: int) -> Hashable:
        if self._collapse == "duplicates":
            return None
        group = self._gallery.group(position)
        if group is not None:
            return group
        return variant_of(self._gallery.item(position)) if self._collapse == "variants" else None

    def _look_the_same(self, one: int, other: int) -> bool:
        return bool(np.abs(self._look(one) - self._look(other)).mean() <= _SAME_LOOK)

    def _look(self, position: int) -> NDArray[np.float32]:
        if position not in self._looks:
            pixels = imaging.decode(self._gallery.thumbnail(position), self._spec).pixels
            self._looks[position] = pixels.astype(np.float32)
        return self._looks[position]


def variant_of(item: GalleryItem) -> Hashable:
    """Return what the variants of one product share: label, brand, and title without colour and size; None untitled."""
    if not item.title:
        return None
    left_out = {*(item.colour or "").casefold().split(), *_SIZES}
    words = tuple(word for word in item.title.casefold().replace(",", " ").split() if word not in left_out)
    return (item.label, (item.brand or "").casefold(), words) if words else None
