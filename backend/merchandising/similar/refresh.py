"""A refresh: what changed since the table was made, the answers that this can touch, and these answers again.

An answer can be another one where a product that it looked at left or changed, where a new one came no farther away than
the last it looked at, and where a rule says something else of the product asked about or of one that was looked at. All
others stay as they are; a test holds that the result is that of making everything again, row for row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.merchandising.similar import near as lists
from backend.merchandising.similar.kept import Kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.merchandising.similar.answers import Answering, Answers
    from backend.merchandising.similar.near import Near
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
    def is_small(self) -> bool:
        """Whether a refresh is less work than making everything again."""
        return len(self.fresh) <= MOST_FRESH * len(self.places)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh found.

    Attributes:
        kept: The state now.
        answers: The answers that may have changed.
        asked: Ids of the products whose rows are to be replaced: those, and those that are gone.
    """

    kept: Kept
    answers: Answers
    asked: pa.Array


def refreshed(kept: Kept, source: Source, answering: Answering, moves: Moves) -> Refreshed:
    """Bring lists and answers up to date."""
    size, was = len(moves.places), moves.places[moves.stays]
    earlier = kept.near.taken(was)
    reach, far = np.full(size, lists.NOTHING), np.full(size, lists.NOTHING)
    reach[moves.stays], far[moves.stays] = kept.reach[was], kept.far[was]
    touched = np.ones(size, dtype=np.bool_)
    near, touched[moves.stays] = _moved(earlier, source, moves, kept.reach[was], kept.far[was])
    near = _renewed(near, source, touched, answering.least)
    own = np.flatnonzero(touched)
    answers = answering.answer(own, near.taken(own))
    reach[own], far[own] = answers.reach, answers.far
    state = Kept(source.ids, source.prints, source.names, near, reach, far, kept.traits, kept.rules)
    changed = source.ids.take(own)
    return Refreshed(state, answers, pa.concat_arrays([changed, moves.gone]))


def _moved(
    earlier: Near, source: Source, moves: Moves, reach: NDArray[np.float32], far: NDArray[np.float32]
) -> tuple[Near, NDArray[np.bool_]]:
    """Return the lists of all products now, and of those that stay which of their answers products touched."""
    touched = earlier.holds(moves.to_new < 0, within=reach)
    stay = lists.moved(earlier, moves.to_new)
    pairs = lists.arrivals(source.index, moves.stays, moves.fresh, stay.horizon)
    touched[pairs.rows[pairs.distances <= reach[pairs.rows]]] = True
    if len(moves.fresh) or (moves.to_new < 0).any():
        touched |= (far >= stay.horizon) & (stay.horizon >= 0)  # it looked farther than its list reaches
    stay = lists.with_arrivals(stay, pairs)
    fresh = lists.near_of(source.index, moves.fresh, earlier.depth)
    whole = lists.joined([stay, fresh])
    order = np.argsort(np.concatenate([moves.stays, moves.fresh]))
    return whole.taken(order), touched


def _renewed(near: Near, source: Source, touched: NDArray[np.bool_], least: int) -> Near:
    """Search again for the lists that are looked at and have become too short."""
    is_short = np.isfinite(near.horizon) & (near.horizon >= 0) & ((near.positions >= 0).sum(axis=1) < least)
    rows = np.flatnonzero(touched & is_short)
    if not len(rows):
        return near
    found = lists.near_of(source.index, rows, near.depth)
    near.positions[rows], near.distances[rows], near.horizon[rows] = found.positions, found.distances, found.horizon
    return near
