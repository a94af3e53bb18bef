"""A map beside the gallery as it is now: products that are gone leave it, new ones are placed, nothing is redrawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import ProjectionError
from backend.projection.place import place
from backend.retrieval.indexes.exact import ExactIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.projection.maps import GalleryMap


@dataclass(frozen=True, slots=True)
class Arranged:
    """Where N gallery products are, in the order of the gallery.

    Attributes:
        positions: float32 (N, 2) or (N, 3).
        is_placed: Those that were placed afterwards, among what was there; bool (N,).
        gone: Products of the map that the gallery does not have any more.
    """

    positions: NDArray[np.float32]
    is_placed: NDArray[np.bool_]
    gone: int


def arrange_gallery(
    gallery_map: GalleryMap, dimensions: int, ids: NDArray[np.object_], vectors: NDArray[np.float32]
) -> Arranged:
    """Give every product of a gallery its place on a map of the same network.

    Args:
        gallery_map: The map.
        dimensions: 2 or 3.
        ids: Product ids of the gallery, ascending; (N,).
        vectors: Their embeddings, by the network that the map is of; float32 (N, D).

    Raises:
        ProjectionError: None of the gallery's products are on the map.
    """
    on_map = gallery_map.positions[dimensions]
    places = np.searchsorted(gallery_map.ids, ids).clip(max=len(gallery_map.ids) - 1)
    is_known = gallery_map.ids[places] == ids
    if not is_known.any():
        raise ProjectionError(
            "The map shows none of the products in the present index.", next_step="Draw the map again."
        )
    positions = on_map[places].copy()
    fresh = np.flatnonzero(~is_known)
    if len(fresh):
        near = ExactIndex(vectors).search(vectors[fresh], k=gallery_map.info.options.neighbours, allowed=is_known)
        for row, product in enumerate(fresh):
            positions[product] = place(
                places[near.positions[row]],
                near.distances[row],
                on_map,
                curve=gallery_map.info.curve,
                neighbours=gallery_map.info.options.neighbours,
            )
    return Arranged(positions, ~is_known, int(len(gallery_map.ids) - is_known.sum()))
