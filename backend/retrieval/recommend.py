"""Use case: pictures in, similar products out, all from one bundle."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from backend import bundle, imaging
from backend.errors import BundleError, ImageRejected, RetrievalError
from backend.retrieval.calibration import Calibration
from backend.retrieval.gallery import Gallery, load_vectors
from backend.retrieval.index import ExactIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Protocol

    from numpy.typing import NDArray

    from backend.bundle import Manifest
    from backend.imaging import DecodedImage
    from backend.pixel_spec import PixelSpec
    from backend.retrieval.embedder import Embedder
    from backend.retrieval.filters import Filters
    from backend.retrieval.index import Index

    class EmbedderLoader(Protocol):
        """Rebuilds the network of a verified bundle, e.g. ``backend.training.embedder.load_embedder``."""

        def __call__(self, folder: Path, manifest: Manifest, *, threads: int) -> Embedder:
            """Load it; raises BundleError where the weights do not fit."""


_EMBEDDED_AT_ONCE = 64
_LARGE_PIXELS = 16_000_000
NOTHING_FITS = "No product in the gallery fits the filters."


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One similar product; ``rank`` starts at 1, ``similarity`` is cosine similarity, 1 - ``distance``.

    ``probability`` is what that similarity is worth: how likely the product is of the same kind as the picture, in
    [0, 1]; None while the model is not calibrated.
    """

    rank: int
    product_id: str
    label: str
    distance: float
    similarity: float
    title: str | None
    category: str | None
    brand: str | None
    colour: str | None
    price: float | None
    stock: int | None
    position: int
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to one picture.

    Attributes:
        neighbours: Nearest first; fewer than asked for where fewer items pass the filters.
        notes: Sentences for the user about what was done to the picture, or why there is no neighbour.
        seen_png: The picture as the network saw it.
        timings_ms: ``decode`` of this picture; ``embed`` and ``search`` of all pictures asked together.
        has_match: Whether the nearest product is similar enough to be called a match; None while that is not known.
    """

    neighbours: tuple[Neighbour, ...]
    notes: tuple[str, ...]
    seen_png: bytes
    timings_ms: dict[str, float]
    has_match: bool | None = None


class Recommender:
    """Model, index and gallery of one bundle; answers from any number of threads.

    Args:
        manifest: What the bundle says of itself.
        embedder: Its network.
        index: Its embeddings.
        gallery: Its items, in the order of the index.
        max_pixels: Largest picture that is decoded, in pixels.
        calibration: What its similarities are worth, once it was evaluated; that of another network is not used.
    """

    def __init__(
        self,
        manifest: Manifest,
        embedder: Embedder,
        index: Index,
        gallery: Gallery,
        *,
        max_pixels: int,
        calibration: Calibration | None = None,
    ) -> None:
        _check_fit(manifest, embedder, index, gallery)
        self.manifest, self.gallery = manifest, gallery
        self._embedder, self._index, self._max_pixels = embedder, index, max_pixels
        fits = calibration is not None and calibration.weights_hash == manifest.weights_hash
        self.calibration = calibration if fits else None
        self._large = Lock()

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        embedder_loader: EmbedderLoader,
        max_pixels: int = imaging.MAX_PIXELS,
        threads: int = 0,
    ) -> Recommender:
        """Verify a bundle and load all of it.

        Raises:
            BundleError: A file is missing, damaged or of another bundle.
            RetrievalError: The bundle has no index yet.
        """
        manifest = bundle.verify(folder)
        gallery = Gallery.load(folder)
        index = ExactIndex(load_vectors(folder))
        embedder = embedder_loader(folder, manifest, threads=threads)
        calibration = Calibration.load(folder)
        return cls(manifest, embedder, index, gallery, max_pixels=max_pixels, calibration=calibration)

    @property
    def size(self) -> int:
        """Number of items that can be answered."""
        return self.gallery.size

    def recommend(self, images: Sequence[bytes], *, k: int, filters: Filters | None = None) -> list[Recommendation]:
        """Answer every picture with its k nearest products.

        Args:
            images: Encoded pictures, at least one.
            k: Neighbours wanted, at least 1.
            filters: Which products may be answered; see ``backend.retrieval.filters``.

        Raises:
            ImageRejected: A picture is not usable; with several, the message says which.
            RetrievalError: k or a filter cannot be used, or there is no picture.
        """
        if not images:
            raise RetrievalError("There is no picture to compare.", next_step="Send at least one.")
        allowed = self.gallery.allowed(filters)
        decoded, decode_ms = self._decode(images)

        start = time.perf_counter()
        queries = self._embed(decoded)
        embedded = time.perf_counter()
        found = self._index.search(queries, k=k, allowed=allowed)
        searched = time.perf_counter()

        shared = {"embed": (embedded - start) * 1e3, "search": (searched - embedded) * 1e3}
        return [
            self._answer(image, found.positions[row], found.distances[row], {"decode": decode_ms[row], **shared})
            for row, image in enumerate(decoded)
        ]

    def warm_up(self) -> None:
        """Answer one picture made up here, so that the first real one does not pay for what is built on first use."""
        self.recommend([example_picture(self.manifest.pixels)], k=1)

    def _decode(self, images: Sequence[bytes]) -> tuple[list[DecodedImage], list[float]]:
        decoded, milliseconds = [], []
        for number, data in enumerate(images, 1):
            start = time.perf_counter()
            try:
                decoded.append(self._decode_one(data))
            except ImageRejected as error:
                if len(images) == 1:
                    raise
                message = f"Picture {number} of {len(images)}: {error.message}"
                raise ImageRejected(message, code=error.code, next_step=error.next_step, status=error.status) from error
            milliseconds.append((time.perf_counter() - start) * 1e3)
        return decoded, milliseconds

    def _decode_one(self, data: bytes) -> DecodedImage:
        """Decode a picture, the largest ones one at a time: 40 million pixels take 0.8 GB while they are decoded."""
        info = imaging.inspect(data, max_pixels=self._max_pixels)
        with self._large if info.width * info.height > _LARGE_PIXELS else nullcontext():
            return imaging.decode(data, self.manifest.pixels, max_pixels=self._max_pixels)

    def _embed(self, images: list[DecodedImage]) -> NDArray[np.float32]:
        """Embed in parts, so that a thousand pictures need no more of the network's memory than sixty-four."""
        parts = (images[at : at + _EMBEDDED_AT_ONCE] for at in range(0, len(images), _EMBEDDED_AT_ONCE))
        return np.concatenate([self._embedder.embed(np.stack([image.pixels for image in part])) for part in parts])

    def _answer(
        self,
        image: DecodedImage,
        positions: NDArray[np.int64],
        distances: NDArray[np.float32],
        timings_ms: dict[str, float],
    ) -> Recommendation:
        neighbours = tuple(
            self._neighbour(rank, int(position), float(distance))
            for rank, (position, distance) in enumerate(zip(positions, distances, strict=True), 1)
        )
        has_match = self._has_match(neighbours)
        notes = image.notes if neighbours else (*image.notes, NOTHING_FITS)
        if has_match is False:
            notes = (*notes, self._no_match(neighbours[0]))
        return Recommendation(neighbours, notes, imaging.encode_png(image.pixels), timings_ms, has_match)

    def _has_match(self, neighbours: tuple[Neighbour, ...]) -> bool | None:
        known = self.calibration
        if known is None or known.threshold is None or not neighbours:
            return None
        return known.is_match(neighbours[0].similarity)

    def _no_match(self, nearest: Neighbour) -> str:
        threshold = (self.calibration.threshold if self.calibration else None) or 0.0
        return f"No good match: the nearest product is {nearest.similarity:.3f} similar, and a match starts at {threshold:.3f}."

    def _neighbour(self, rank: int, position: int, distance: float) -> Neighbour:
        item = self.gallery.item(position)
        return Neighbour(
            rank=rank,
            product_id=item.product_id,
            label=item.label,
            distance=distance,
            similarity=1.0 - distance,
            title=item.title,
            category=item.category,
            brand=item.brand,
            colour=item.colour,
            price=item.price,
            stock=item.stock,
            position=position,
            probability=None if self.calibration is None else self.calibration.probability(1.0 - distance),
        )


def example_picture(spec: PixelSpec) -> bytes:
    """Make a picture of a model's size up, from dark to light, as PNG: nobody's product, and not empty either."""
    ramp = np.linspace(0, 255, spec.height * spec.width * spec.channels).astype(np.uint8)
    return imaging.encode_png(ramp.reshape(spec.shape))


def _check_fit(manifest: Manifest, embedder: Embedder, index: Index, gallery: Gallery) -> None:
    """Model, index and gallery must be of one piece; hashes prove they are unchanged, not that they belong together."""
    size = None if manifest.index is None else manifest.index.size
    if not (size == index.size == gallery.size and embedder.size == index.dimensions == manifest.embedding_size):
        raise BundleError(
            f"{manifest.name} does not hold together: its manifest names {size} items of "
            f"{manifest.embedding_size} dimensions, the index has {index.size} of {index.dimensions}, "
            f"the gallery {gallery.size}, the network gives {embedder.size}.",
            next_step="Build the index of this model again.",
        )
    if embedder.spec != manifest.pixels:
        raise BundleError(f"The network of {manifest.name} sees other pixels than its manifest says.")
