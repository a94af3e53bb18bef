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

from backend.merchandising.similar import near as lists
from backend.merchandising.similar.answers import Answering
from backend.merchandising.similar.kept import Kept
from backend.merchandising.similar.rule_moves import RuleMoves
from backend.merchandising.similar.ruled import passes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.merchandising.similar.answers import Answers
    from backend.merchandising.similar.moves import Moves
    from backend.merchandising.similar.near import Near, Pairs
    from backend.merchandising.similar.ruled import RulesAt
    from backend.merchandising.similar.source import Source


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


def refreshed(kept: Kept, source: Source, rules: RulesAt, moves: Moves, *, k: int) -> Refreshed:
    """Bring lists and answers up to date, to the products and the rules as they are now."""
    answering = Answering(source, rules, k=k)
    size, was = len(moves.places), moves.places[moves.stays]
    reach, far = np.full(size, lists.NOTHING), np.full(size, lists.NOTHING)
    reach[moves.stays], far[moves.stays] = kept.reach[was], kept.far[was]
    ruled = RuleMoves(kept, source, rules, moves, answering)
    touched = np.ones(size, dtype=np.bool_)
    near, touched[moves.stays], pairs = _moved(kept, source, moves)
    looked = reach.copy()
    some = np.arange(size) if ruled.are_there else np.flatnonzero(touched)
    looked[some] = answering.looked(some, near.taken(some))
    touched |= ruled.touched(near, far, looked, pairs)
    near = _renewed(near, source, touched & passes(near, looked))
    is_plain = ~touched & (reach < far)  # no rule changes it, however far rules look now
    far[is_plain] = looked[is_plain]
    own = np.flatnonzero(touched)
    answers = answering.answer(own, near.taken(own))
    reach[own], far[own] = answers.reach, answers.far
    state = state_of(source, rules, answering, near, reach, far)
    return Refreshed(state, answers, pa.concat_arrays([source.ids.take(own), moves.gone]))


def state_of(
    source: Source,
    rules: RulesAt,
    answering: Answering,
    near: Near,
    reach: NDArray[np.float32],
    far: NDArray[np.float32],
) -> Kept:
    """Return what is to be kept beside the table."""
    said = {"rules": rules.plain(), "line": answering.line}
    return Kept(source.ids, source.prints, source.names, near, reach, far, answering.named.traits, said)


def _moved(kept: Kept, source: Source, moves: Moves) -> tuple[Near, NDArray[np.bool_], Pairs]:
    """Return the lists of all products now, of those that stay which answers were touched, and what came near to these."""
    was = moves.places[moves.stays]
    earlier, reach = kept.near.taken(was), kept.reach[was]
    has_left = moves.to_new < 0
    touched = earlier.holds(has_left, within=reach)
    stay = lists.moved(earlier, moves.to_new)
    pairs = lists.arrivals(source.index, moves.stays, moves.fresh, stay.horizon)
    touched[pairs.rows[pairs.distances <= reach[pairs.rows]]] = True
    if moves.are_there:
        touched |= (reach >= stay.horizon) & (stay.horizon >= 0)  # it looked farther than its list reaches
    stay = lists.with_arrivals(stay, pairs)
    fresh = lists.near_of(source.index, moves.fresh, kept.near.depth)
    whole = lists.joined([stay, fresh])
    order = np.argsort(np.concatenate([moves.stays, moves.fresh]))
    return whole.taken(order), touched, pairs


def _renewed(near: Near, source: Source, is_short: NDArray[np.bool_]) -> Near:
    """Search again for lists that have become too short."""
    rows = np.flatnonzero(is_short)
    if not len(rows):
        return near
    found = lists.near_of(source.index, rows, near.depth)
    near.positions[rows], near.distances[rows], near.horizon[rows] = found.positions, found.distances, found.horizon
    return near
