"""Which numbers of a model's embeddings hold colours, as its manifest says it: the last ones, where it has any."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.bundles.manifest import Manifest

COLOURS = 64  # dimensions that hold colours


def colour_share(manifest: Manifest) -> float | None:
    """Return how much colours count in a model's similarity, in (0, 1); None where it does not hold them apart.

    An embedding (D,) is then ``[sqrt(1 - share) shape | sqrt(share) colours]``, both parts of unit length.
    """
    share = manifest.config.get("colour_share")
    is_share = isinstance(share, float) and 0.0 < share < 1.0
    return share if is_share and manifest.embedding_size > COLOURS else None
