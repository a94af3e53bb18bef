"""The steps of the pixel contract, one by one; their order is :mod:`backend.imaging.pixels`'s, and nobody else takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from backend.imaging.colour import to_srgb

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from backend.imaging.spec import PixelSpec

_OPAQUE = 255
CLEAR_NOTE = "Its transparent areas were filled with white."
_BAND = 32  # rows of a large picture that are flattened at once
_GAP = 3.0  # how many times the size of the result is left to the fine filter
_SAMPLED = 64  # pixels a side that are asked whether they have a colour
# A photo without colours has a tint and the noise of JPEG, and perhaps a label somewhere.
_TINT, _GREY_SHARE = 12, 0.99
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
INVERSION_NOTE = {
    "dark": "It is on a light background and the gallery is on black, so it was inverted.",
    "light": "It is on a dark background and the gallery is on white, so it was inverted.",
}


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return the picture turned as its EXIF orientation, 1 to 8, says."""
    return image if orientation == 1 else image.transpose(_TURNS[orientation])


def flattened(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return the picture as L, RGB or CMYK, transparency on white, 16-bit greys scaled rather than clipped.

    The second value says whether anything was transparent.
    """
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    has_alpha = image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info
    if has_alpha:
        rgba = image if image.mode == "RGBA" else _in_8_bits(image).convert("RGBA")
        alpha = rgba.getchannel("A")
        flat = Image.new("RGB", rgba.size, "white")  # pasted, not composited: half the memory for a huge picture
        flat.paste(rgba.convert("RGB"), mask=alpha)
        return flat, sum(alpha.histogram()[:_OPAQUE]) > 0
    is_plain = image.mode in {"L", "RGB", "CMYK"}
    return (image if is_plain else image.convert("L" if image.mode == "1" else "RGB")), False


def _from_16_bits(image: Image.Image) -> tuple[Image.Image, bool]:
    levels = np.asarray(image)
    grey = (levels.astype(np.uint32) >> 8).clip(0, _OPAQUE).astype(np.uint8)
    clear = levels == image.info.get("transparency", -1)
    grey[clear] = _OPAQUE
    return Image.fromarray(grey), bool(clear.any())


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Bring the transparent colour of an RGB picture of 16 bits to the 8 bits that its pixels have been brought to."""
    clear = image.info.get("transparency")
    if isinstance(clear, tuple) and max(clear) > _OPAQUE:
        image.info["transparency"] = tuple(level >> 8 for level in clear)
    return image


def brought_down(image: Image.Image, enough: tuple[int, int]) -> tuple[Image.Image, bool]:
    """Average a large picture down to at least ``enough``, (W, H), flattened band by band: it is never copied whole.

    The second value says whether anything was transparent.
    """
    factor = min(image.width // enough[0], image.height // enough[1], _BAND)
    if factor < 2 and isinstance(image, Image.Image):  # not the rows of a decoder
        return image, False
    height, was_clear, small = -(-_BAND // factor) * factor, False, None
    for top in range(0, image.height, height):
        flat, is_clear = flattened(image.crop((0, top, image.width, min(top + height, image.height))))
        was_clear |= is_clear
        band = flat.reduce(factor)
        if small is None:
            small = Image.new(band.mode, (band.width, -(-image.height // factor)))
            small.info["icc_profile"] = image.info.get("icc_profile")
        small.paste(band, (0, top // factor))
    return small or image, was_clear


def shown(image: Image.Image, mode: str, scale: Callable[[Image.Image], Image.Image]) -> tuple[Image.Image, bool]:
    """Bring an upright picture to L or RGB, in sRGB, and to size; says whether anything was transparent.

    Where colours have to be converted, it is after scaling, so that it costs what the result is large.
    """
    flat, was_clear = flattened(image)
    convert = to_srgb(image.info.get("icc_profile"), flat.mode)
    if convert is None:
        return scale(flat if flat.mode == mode else flat.convert(mode)), was_clear
    return convert(scale(flat)).convert(mode), was_clear


def is_grey(image: Image.Image) -> bool:
    """Tell whether a picture has no colours, however it is stored: shops and scanners save grey photos as RGB, too."""
    if image.mode.startswith("I") or image.mode in {"1", "L", "LA", "La"}:
        return True
    some = flattened(image.resize((_SAMPLED, _SAMPLED), Image.Resampling.NEAREST))[0].convert("RGB")
    levels = np.asarray(some, dtype=np.int16)
    spread = levels.max(axis=2) - levels.min(axis=2)
    return float(np.mean(spread <= _TINT)) >= _GREY_SHARE


def _borders(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the outermost pixels of (N, H, W, C) as (N, P, C)."""
    return np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, 1:-1, 0], pixels[:, 1:-1, -1]], axis=1)


def _doubled_medians(levels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return twice the median of each row, a whole number; of bytes, the stable sort is by far the fastest."""
    ordered = np.sort(levels, axis=1, kind="stable")
    size = ordered.shape[1]
    return ordered[:, (size - 1) // 2].astype(np.int64) + ordered[:, size // 2]


def _border_colour(image: Image.Image) -> tuple[int, ...]:
    """Return the median of the outermost pixels, channel by channel."""
    width, height = image.size
    edges = [(0, 0, width, 1), (0, height - 1, width, height), (0, 1, 1, height - 1), (width - 1, 1, width, height - 1)]
    border = np.frombuffer(b"".join(image.crop(edge).tobytes() for edge in edges), dtype=np.uint8)
    return tuple((_doubled_medians(border.reshape(-1, len(image.getbands())).T) // 2).tolist())


def fitted(image: Image.Image, spec: PixelSpec) -> Image.Image:
    """Scale a picture to ``spec``, its shorter side padded with the colour of its border, so that no seam is invented.

    What is padded has been averaged down before, to less than six times the size of the result, so that memory follows
    the result, however long and narrow the picture is. To be padded first would give the same within rounding.
    """
    size, side = (spec.width, spec.height), max(image.size)
    if image.width == image.height:
        return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=_GAP)
    x, y = (int(side / length / _GAP) or 1 for length in size)
    square = _averaged_square(image, (x, y))
    return square.resize(size, Image.Resampling.LANCZOS, box=(0, 0, side / x, side / y))


def _averaged_square(image: Image.Image, by: tuple[int, int]) -> Image.Image:
    """Return what the padded picture is after blocks of ``by`` pixels are averaged; it is never padded at full size."""
    side, (x, y), colour = max(image.size), by, _border_colour(image)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    square = Image.new(image.mode, (-(-side // x), -(-side // y)), colour)
    if by == (1, 1):  # a small picture, of which thousands are read at once
        square.paste(image, (left, top))
        return square
    into_x, into_y = left % x, top % y  # where in its first block the picture begins
    is_wide = image.width > image.height
    strip = image.reduce((x, 1) if is_wide else (1, y))
    # The shorter side is padded to whole blocks only.
    width = strip.width if is_wide else min(-(-(into_x + image.width) // x) * x, side - left + into_x)
    height = strip.height if not is_wide else min(-(-(into_y + image.height) // y) * y, side - top + into_y)
    blocks = Image.new(image.mode, (width, height), colour)
    blocks.paste(strip, (0 if is_wide else into_x, into_y if is_wide else 0))
    square.paste(blocks.reduce((1, y) if is_wide else (x, 1)), (left // x, top // y))
    return square


def on_other_ground(pixels: NDArray[np.uint8], spec: PixelSpec) -> NDArray[np.bool_]:
    """Tell of N pictures, (N, H, W, C), whether their border says that they are on the other ground than the gallery.

    That is asked of a grey gallery only: a negative in colour shows what no product looks like.
    """
    if spec.background == "any" or spec.channels != 1 or not len(pixels):
        return np.zeros(len(pixels), dtype=np.bool_)
    doubled = _doubled_medians(_borders(pixels).reshape(len(pixels), -1))
    mask: NDArray[np.bool_] = doubled > _OPAQUE if spec.background == "dark" else doubled < _OPAQUE
    return mask
