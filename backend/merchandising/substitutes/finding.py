"""From a selection of products or photos to their substitutes, as rows to check."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.errors import RetrievalError
from backend.merchandising.substitutes.kept import SCHEMA
from backend.merchandising.substitutes.twins import Comparing, Seeds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.merchandising.similar.source import Source
    from backend.merchandising.substitutes.shelf import Shelf
    from backend.merchandising.substitutes.twins import Limits
    from backend.progress import Progress
    from backend.retrieval.filters import Filters


@dataclass(frozen=True, slots=True)
class Selected:
    """What substitutes are wanted of.

    Attributes:
        ids: Of products, or names of photos, (S,).
        seeds: The same to compare with, (S,).
        missing: How many were selected that are not searched.
        photos: Small pictures of photos, (S,); None for products.
        unreadable: Photos that could not be read.
    """

    ids: Sequence[str]
    seeds: Seeds
    missing: int = 0
    photos: Sequence[bytes] | None = None
    unreadable: int = 0


def sold_out(source: Source, shelf: Shelf) -> Selected:
    """Select the products that are known to be out of stock."""
    return _at(source, shelf.is_sold_out)


def filtered(source: Source, shelf: Shelf, filters: Filters) -> Selected:
    """Select the products that pass filters as an answer does.

    Raises:
        RetrievalError: A filter is unknown, or there is none.
    """
    passing = shelf.allowed(filters)
    if passing is None:
        raise RetrievalError("No filter is set.", next_step="Choose at least one, or another selection.")
    return _at(source, passing & shelf.is_offered)


def listed(source: Source, shelf: Shelf, ids: Sequence[str]) -> Selected:
    """Select products by their ids, each once; those that are not searched or not offered are counted."""
    wanted = list(dict.fromkeys(name.strip() for name in ids if name.strip()))
    places = source.gallery.places(wanted)
    places = places[(places >= 0) & shelf.is_offered[places]]
    return Selected(source.ids.take(pa.array(places)).to_pylist(), Seeds.at(source, places), len(wanted) - len(places))


def new_since(source: Source, shelf: Shelf, earlier: Snapshot) -> Selected:
    """Select the products that an earlier version of the catalogue does not offer."""
    before = earlier.columns(["product_id"], on_sale_only=True)["product_id"].combine_chunks()
    is_new = ~np.asarray(pc.is_in(source.ids, value_set=before), dtype=np.bool_)
    return _at(source, is_new & shelf.is_offered)


def rows_of(
    selected: Selected, source: Source, shelf: Shelf, limits: Limits, k: int, progress: Progress
) -> tuple[pa.Table, dict[str, int]]:
    """Find the substitutes of a selection.

    Returns:
        Rows of those that have one, in ``kept.SCHEMA``, and how many have none, by why.

    Raises:
        RetrievalError: ``k`` is not possible.
        Cancelled: The user asked to stop.
    """
    found = Comparing(source, shelf, limits).twins(selected.seeds, k, progress)
    lines = np.flatnonzero(found.has_twin)
    is_there = found.positions[lines] >= 0
    offsets = pa.array(np.r_[0, np.cumsum(is_there.sum(axis=1))].astype(np.int32))
    twins = source.ids.take(pa.array(found.positions[lines][is_there]))
    photos = pa.nulls(len(selected.ids), pa.binary()) if selected.photos is None else pa.array(selected.photos)
    columns = [
        pa.array(selected.ids, pa.string()).take(pa.array(lines)),
        pa.ListArray.from_arrays(offsets, twins),
        pa.ListArray.from_arrays(offsets, pa.array(found.similarities[lines][is_there])),
        photos.take(pa.array(lines)),
    ]
    reasons = dict(sorted(Counter(found.reasons[~found.has_twin].tolist()).items()))
    return pa.table(columns, schema=SCHEMA), reasons


def _at(source: Source, mask: NDArray[np.bool_]) -> Selected:
    places = np.flatnonzero(mask)
    return Selected(source.ids.take(pa.array(places)).to_pylist(), Seeds.at(source, places))
