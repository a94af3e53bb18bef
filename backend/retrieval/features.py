"""Features of a split's pictures by a network that is never trained: computed once for a picture, whatever asks next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.feeding.arrow import Values, decoder, make_table
from backend.feeding.content_cache import contract_of, keys_of
from backend.retrieval.gallery.embedding import embed_evenly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.errors import ImageRejected
    from backend.feeding.arrow import PixelTable
    from backend.feeding.content_cache import CacheFolder, ContentCache
    from backend.feeding.readers import ReaderName
    from backend.feeding.shards import Shard
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder


def feature_cache(folder: CacheFolder, name: str, network: Embedder) -> ContentCache:
    """Return the cache of a network's features.

    Args:
        folder: Of the home.
        name: Which network with which weights, as a part of a folder's name, e.g. ``efficientnet-lite0-579344248a93``.
        network: The network itself.
    """
    return folder.space(f"features-{name}-{network.size}-{contract_of(network.spec)}", (network.size,), np.float16)


class KeptFeatures:
    """Features as an embedder gives embeddings, float16 (N, F), and computed once for a picture where there is a cache.

    Args:
        network: Gives float32 (N, F) of uint8 (N, H, W, C).
        cache: See :func:`feature_cache`; None: all are computed.
    """

    def __init__(self, network: Embedder, cache: ContentCache | None) -> None:
        self._network, self._cache = network, cache
        self.spec, self.size, self.batch = network.spec, network.size, network.batch

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute features of all pictures, as they are kept."""
        return self._network.embed(pixels).astype(np.float16)

    def embed_pictures(self, pixels: NDArray[np.uint8], images: Sequence[bytes]) -> NDArray[np.float32]:
        """Look features up, and compute and keep those that there are none of."""
        if self._cache is None:
            return embed_evenly(self, pixels)
        keys = keys_of(images)
        found, is_known = self._cache.get(keys)
        if not is_known.all():
            fresh = np.flatnonzero(~is_known)
            found[fresh] = embed_evenly(self, pixels[fresh])
            self._cache.put([keys[row] for row in fresh], found[fresh])
        return found


class ByFeatures:
    """Embeds by features that are kept, and a head on them.

    Args:
        features: Of the frozen network.
        head: Gives float32 (N, D) of float16 (N, F).
    """

    def __init__(self, features: KeptFeatures, head: Embedder) -> None:
        self._features, self._head = features, head
        self.spec, self.size, self.batch = features.spec, head.size, features.batch

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed all pictures."""
        return embed_evenly(self._head, self._features.embed(pixels))

    def embed_pictures(self, pixels: NDArray[np.uint8], images: Sequence[bytes]) -> NDArray[np.float32]:
        """Embed pictures by what is kept of them, as far as there is any."""
        return embed_evenly(self._head, self._features.embed_pictures(pixels, images))


def features_of(  # noqa: PLR0913 - what is read, by what, and where to; all else may be left out
    snapshot: Snapshot,
    split: str,
    network: Embedder,
    path: Path,
    *,
    progress: Progress,
    cache: ContentCache | None = None,
    shard: Shard | None = None,
    reader: ReaderName = "arrow",
) -> PixelTable:
    """Compute the features of a split's pictures into the file ``path``; the pixels of the table are float16 (N, F).

    A picture whose features the cache holds is neither decoded nor computed. The others are computed in batches of one
    size and rounded to float16, so that the table is the same whichever they are.

    Args:
        snapshot: The catalogue version.
        split: Which split of it.
        network: Gives float32 (N, F) of uint8 (N, H, W, C).
        path: File for the features; overwritten.
        progress: Hears pictures; may cancel.
        cache: See :func:`feature_cache`; None: all are computed.
        shard: Only this rank's part of the split; None: all of it.
        reader: What goes through the files.

    Raises:
        WorkbenchError: As :func:`backend.feeding.arrow.decode_split`.
    """
    with decoder(network.spec) as decode:

        def make(images: Sequence[bytes]) -> tuple[NDArray[np.float16], dict[int, ImageRejected]]:
            pixels, rejected = decode(images)
            return embed_evenly(network, pixels).astype(np.float16), rejected

        values = Values((network.size,), np.float16, make, cache, f"looking at the pictures of the {split} split")
        return make_table(snapshot, split, values, path, progress=progress, shard=shard, reader=reader)
