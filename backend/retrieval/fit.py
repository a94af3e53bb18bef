"""Whether the parts of a bundle belong together: hashes prove that they are unchanged, not that they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.errors import BundleError

if TYPE_CHECKING:
    from backend.bundles.manifest import Manifest
    from backend.retrieval.embedder import QueryEmbedder
    from backend.retrieval.gallery.gallery import Gallery
    from backend.retrieval.indexes.index import Index


def check_fit(manifest: Manifest, embedder: QueryEmbedder, index: Index, gallery: Gallery) -> None:
    """Refuse model, index and gallery that are not of one piece; raises BundleError."""
    size = None if manifest.index is None else manifest.index.size
    if not (size == index.size == gallery.size and embedder.size == index.dimensions == manifest.embedding_size):
        raise BundleError(
            f"{manifest.name} is inconsistent: its manifest has {size} items of "
            f"{manifest.embedding_size} dimensions, the index has {index.size} of {index.dimensions}, "
            f"the gallery {gallery.size}, the network gives {embedder.size}.",
            next_step="Build the index of this model again.",
        )
    if embedder.spec != manifest.pixels:
        raise BundleError(f"The network of {manifest.name} expects a different input size than its manifest states.")
