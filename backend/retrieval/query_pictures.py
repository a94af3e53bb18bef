"""Pictures as they are asked about: bytes in, pixels or a reason out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import ImageRejected
from backend.imaging import pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.imaging.pixels import DecodedImage
    from backend.imaging.region import Region
    from backend.imaging.spec import PixelSpec


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


def example_picture(spec: PixelSpec) -> bytes:
    """Make a picture of a model's size up, from dark to light, as PNG: nobody's product, and not empty either."""
    ramp = np.linspace(0, 255, spec.height * spec.width * spec.channels).astype(np.uint8)
    return pixels.encode_png(ramp.reshape(spec.shape))


def shows_nothing(image: DecodedImage) -> bool:
    """Whether a picture is one even surface, for the network."""
    return bool(np.ptp(image.pixels, axis=(0, 1)).max() <= _EVEN)
