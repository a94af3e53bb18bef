"""The further pictures of one product, as they were loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from backend.catalogue.pictured import HASH, IMAGE

if TYPE_CHECKING:
    from backend.catalogue.snapshot import Snapshot


def further_images(snapshot: Snapshot, product_id: str) -> list[bytes]:
    """Return the encoded pictures of a product beside its first one, in its order.

    Raises:
        CatalogueError: One is missing.
    """
    every = snapshot.further_pictures()
    rows = every.filter(pc.equal(every["product_id"], product_id)).sort_by("position")
    if not rows.num_rows:
        return []
    found: list[bytes] = snapshot.rows.pictures.take(snapshot.rows.places(rows[HASH]), [IMAGE])[IMAGE].to_pylist()
    return found
