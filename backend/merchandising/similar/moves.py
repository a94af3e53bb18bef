"""What became of the products of a gallery from one state of it to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from backend.merchandising.similar.kept import Kept
    from backend.merchandising.similar.source import Source

MOST_FRESH = 0.25  # of the products: with more, making everything again by partition is quicker


@dataclass(frozen=True, slots=True)
class Moves:
    """What became of the products, by their positions then and now.

    Attributes:
        places: Where each of the N products was, -1 for those that are new or changed; int64 (N,).
        to_new: Where each of the earlier products is, -1 for those that left or changed; int64 (M,).
        gone: Ids of those that are not there any more.
    """

    places: NDArray[np.int64]
    to_new: NDArray[np.int64]
    gone: pa.Array

    @classmethod
    def between(cls, kept: Kept, source: Source) -> Moves:
        """Compare two states of a gallery."""
        places = np.asarray(pc.fill_null(pc.index_in(source.ids, value_set=kept.ids), -1), dtype=np.int64)
        there = np.flatnonzero(places >= 0)
        places[there[kept.prints[places[there]] != source.prints[there]]] = -1
        to_new = np.full(len(kept.ids), -1, np.int64)
        stays = np.flatnonzero(places >= 0)
        to_new[places[stays]] = stays
        return cls(places, to_new, kept.ids.filter(pc.invert(pc.is_in(kept.ids, value_set=source.ids))))

    @property
    def stays(self) -> NDArray[np.int64]:
        """Positions now of the products that are as they were."""
        return np.flatnonzero(self.places >= 0)

    @property
    def fresh(self) -> NDArray[np.int64]:
        """Positions now of those that are new or changed."""
        return np.flatnonzero(self.places < 0)

    @property
    def are_there(self) -> bool:
        """Whether any product came, changed or went."""
        return bool((self.places < 0).any() or (self.to_new < 0).any())

    @property
    def is_small(self) -> bool:
        """Whether a refresh is less work than making everything again."""
        return len(self.fresh) <= MOST_FRESH * len(self.places)
