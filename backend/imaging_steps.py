"""The steps of the pixel contract, one by one; their order is :mod:`backend.imaging`'s, and nobody else takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.pixel_spec import Background, PixelSpec

_OPAQUE = 255
INVERSION_NOTE = {
    "dark": "It is on a light background and the gallery is on black, so it was inverted.",
    "light": "It is on a dark background and the gallery is on white, so it was inverted.",
}


def upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return the picture turned as its camera data say, and whether it had to be."""
    image.load()  # before anything else: a truncated file fails here, whatever its orientation
    turned = image.getexif().get(0x0112, 1) not in {0, 1}
    return (ImageOps.exif_transpose(image) if turned else image), turned


def flattened(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return the picture as L or RGB, transparency on white, 16-bit greys scaled rather than clipped."""
    if image.mode in {"I;16", "I;16B", "I;16L", "I"}:
        return Image.fromarray((np.asarray(image, dtype=np.uint32) >> 8).clip(0, 255).astype(np.uint8)), False
    has_alpha = image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info
    if has_alpha:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        alpha = rgba.getchannel("A")
        flat = Image.new("RGB", rgba.size, "white")  # pasted, not composited: half the memory for a huge picture
        flat.paste(rgba.convert("RGB"), mask=alpha)
        return flat, sum(alpha.histogram()[:_OPAQUE]) > 0
    return (image if image.mode in {"L", "RGB"} else image.convert("L" if image.mode == "1" else "RGB")), False


def _borders(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the outermost pixels of (N, H, W, C) as (N, P, C)."""
    return np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, 1:-1, 0], pixels[:, 1:-1, -1]], axis=1)


def squared(image: Image.Image) -> Image.Image:
    """Pad the shorter side with the colour of the border, so that no seam is invented."""
    if image.width == image.height:
        return image
    border = _borders(np.asarray(image).reshape(1, image.height, image.width, -1))
    fill = tuple(np.median(border[0], axis=0).astype(np.uint8).tolist())
    colour = fill if len(fill) > 1 else fill[0]
    side = max(image.size)
    square = Image.new(image.mode, (side, side), colour)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def resized(image: Image.Image, spec: PixelSpec) -> Image.Image:
    """Return the picture at the size of ``spec``."""
    size = (spec.width, spec.height)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def polarised(pixels: NDArray[np.uint8], background: Background) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Invert those of N pictures whose border says that they lie on the other ground than the gallery; says which."""
    if background == "any" or not len(pixels):
        return pixels, np.zeros(len(pixels), dtype=np.bool_)
    levels = np.sort(_borders(pixels).reshape(len(pixels), -1), axis=1).astype(np.int64)
    doubled = levels[:, (levels.shape[1] - 1) // 2] + levels[:, levels.shape[1] // 2]  # the median, twice
    wrong = doubled > _OPAQUE if background == "dark" else doubled < _OPAQUE
    return (np.where(wrong[:, None, None, None], ~pixels, pixels) if wrong.any() else pixels), wrong
