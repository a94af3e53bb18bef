"""Pictures as they are asked about: bytes in, pixels or a reason out."""

from __future__ import annotations

import time
from itertools import chain, repeat
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import ImageRejected
from backend.imaging import pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.imaging.pixels import DecodedImage
    from backend.imaging.region import Region
    from backend.imaging.spec import PixelSpec
    from backend.retrieval.embedder import QueryEmbedder


_EMBEDDED_AT_ONCE = 64
_EVEN = 8  # levels of 255 between the darkest and the brightest point of a picture with nothing on it, at most


class QueryPictures:
    """Decodes pictures for one model, from any number of threads.

    Args:
        spec: What its network sees.
        max_pixels: Largest picture that is decoded, in pixels.
    """

    def __init__(self, spec: PixelSpec, max_pixels: int) -> None:
        self._spec, self._max_pixels = spec, max_pixels

    def decode(self, images: Sequence[bytes], region: Region | None = None) -> tuple[list[DecodedImage], list[float]]:
        """Decode all pictures, and return them with the milliseconds that each took; of the first, the region only.

        Raises:
            ImageRejected: One is not usable; with several, the message says which, counted from 1.
        """
        decoded, milliseconds = [], []
        for number, data in enumerate(images, 1):
            found = self.tried(data, region if number == 1 else None)
            if isinstance(found, ImageRejected):
                message = f"Picture {number} of {len(images)}: {found.message}" if len(images) > 1 else found.message
                raise ImageRejected(message, code=found.code, next_step=found.next_step, status=found.status) from found
            decoded.append(found[0])
            milliseconds.append(found[1])
        return decoded, milliseconds

    def tried(self, data: bytes, region: Region | None = None) -> tuple[DecodedImage, float] | ImageRejected:
        """Decode a picture, or a part of it, and return it with the milliseconds that it took, or what is wrong with it."""
        start = time.perf_counter()
        try:
            image = pixels.decode(data, self._spec, max_pixels=self._max_pixels, region=region)
        except ImageRejected as error:
            return error
        return image, (time.perf_counter() - start) * 1e3


def embed_queries(
    embedder: QueryEmbedder, images: Sequence[DecodedImage]
) -> tuple[NDArray[np.float32], list[bool | None]]:
    """Embed in parts, so that a thousand pictures need no more of the network's memory than sixty-four.

    Returns:
        Embeddings, and whether each picture shows nothing, or nothing that is like those the network was fitted to; None
        where that is not known.
    """
    if not images:
        return np.empty((0, embedder.size), dtype=np.float32), []
    parts = (images[at : at + _EMBEDDED_AT_ONCE] for at in range(0, len(images), _EMBEDDED_AT_ONCE))
    found = [embedder.embed_and_compare(np.stack([image.pixels for image in part])) for part in parts]
    strange = chain.from_iterable(repeat(None, len(rows)) if known is None else known < 1.0 for rows, known in found)
    of_each = [
        True if shows_nothing(image) else None if is_strange is None else bool(is_strange)
        for image, is_strange in zip(images, strange, strict=True)
    ]
    return np.concatenate([rows for rows, _ in found]), of_each


def all_strange(of_each: Sequence[bool | None]) -> bool | None:
    """Tell whether all pictures of one question are strange; None where one of them is not known to be either."""
    return True if all(of_each) else None if None in of_each else False


def example_picture(spec: PixelSpec) -> bytes:
    """Make a picture of a model's size up, from dark to light, as PNG: nobody's product, and not empty either."""
    ramp = np.linspace(0, 255, spec.height * spec.width * spec.channels).astype(np.uint8)
    return pixels.encode_png(ramp.reshape(spec.shape))


def shows_nothing(image: DecodedImage) -> bool:
    """Whether a picture is one even surface, for the network."""
    return bool(np.ptp(image.pixels, axis=(0, 1)).max() <= _EVEN)
