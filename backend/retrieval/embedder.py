"""The port between whoever has pixels and whoever has a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from backend.bundles.manifest import Manifest
    from backend.imaging.spec import PixelSpec


class Embedder(Protocol):
    """Turns decoded pictures into embeddings; the same picture gives the same embedding, alone or in a batch."""

    @property
    def spec(self) -> PixelSpec:
        """What the network sees."""

    @property
    def size(self) -> int:
        """Dimensions D of an embedding."""

    @property
    def batch(self) -> int:
        """Pictures at once: batches that are filled up to a multiple of it give each picture the same bits."""

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed uint8 (N, H, W, C), scaled by ``imaging.to_float``, as float32 (N, D), each row L2-normalised.

        Raises:
            RetrievalError: The pixels do not have the shape of ``spec``.
        """


@runtime_checkable
class RememberingEmbedder(Embedder, Protocol):
    """An embedder that need not compute anew what was computed of a picture before."""

    def embed_pictures(self, pixels: NDArray[np.uint8], images: Sequence[bytes]) -> NDArray[np.float32]:
        """Embed as :meth:`embed` does batches of one size, to the last bit.

        Args:
            pixels: uint8 (N, H, W, C).
            images: The N encoded pictures that they were decoded from.
        """


class QueryEmbedder(Embedder, Protocol):
    """An embedder that answers queries."""

    def embed_and_compare(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Embed as :meth:`embed` does, and tell of each picture how much it has in common with those it was fitted to.

        Returns:
            Embeddings, and float32 (N,), below 1 for one in twenty-five pictures of the same sort, and for most of another
            sort; None where the network cannot tell.
        """

    def seen(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Tell how much the network sees where in one picture, uint8 (H, W, C); None where it cannot tell.

        Returns:
            Length of the feature vector of each cell of its last map, float32 (n, n).
        """


class EmbedderLoader(Protocol):
    """Rebuilds the network of a verified bundle, e.g. ``backend.training.embedder.load_query_embedder``."""

    def __call__(self, folder: Path, manifest: Manifest, *, threads: int) -> QueryEmbedder:
        """Load it; raises BundleError where the weights do not fit."""
