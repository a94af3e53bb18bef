"""The pixel contract, and its only owner: encoded bytes in, float32 pixels in [0, 1] out.

Every pixel that a model ever sees, in training, in the gallery or in a query, is what :func:`decode` gives; scaling to
[0, 1] happens in :func:`to_float` and nowhere else. The order of the steps is part of the contract:

    format and size checked before decoding -> EXIF turn -> alpha on white -> colour mode -> pad to a square
    -> resize -> polarity of the gallery -> uint8 -> float32
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from backend import imaging_png
from backend.errors import ImageRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.pixel_spec import Background, PixelSpec

FORMATS = ("PNG", "JPEG", "WEBP")
MIN_SIDE = 8
OPAQUE = 255
MAX_PIXELS = 40_000_000
encode_png = imaging_png.encode_png  # ours are read back without a codec, too
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")
_DECODER_ERRORS = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the header of an accepted picture says."""

    format: str
    width: int
    height: int
    channels: int
    frames: int


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """One picture as the model sees it, before scaling, and what had to be done to it.

    Attributes:
        pixels: uint8 (H, W, C).
        notes: Sentences for the user, e.g. that the picture was inverted; empty when nothing notable happened.
        info: The picture as it came.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]
    info: ImageInfo

    def to_float(self) -> NDArray[np.float32]:
        """Return the pixels as float32 (H, W, C) in [0, 1]."""
        return to_float(self.pixels)


def to_float(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale uint8 (..., H, W, C) to float32 in [0, 1]; the only place where pixels are scaled."""
    return np.multiply(pixels, np.float32(1.0 / 255.0), dtype=np.float32)


def inspect(data: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Check format and size from the header, without decoding a pixel.

    Raises:
        ImageRejected: The bytes are no PNG, JPEG or WEBP, or the picture is too large or too small.
    """
    with opened(data, max_pixels=max_pixels) as image:
        return _info(image)


def verify(data: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Check that a picture is readable to its end, as cheaply as its format allows; what passes can be decoded.

    A JPEG's whole stream is read at an eighth of its size.

    Raises:
        ImageRejected: As :func:`decode`.
    """
    with opened(data, max_pixels=max_pixels) as image:
        info = _info(image)
        if image.format == "JPEG":
            image.draft(None, (1, 1))
        image.load()
        return info


def decode(data: bytes, spec: PixelSpec, *, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Turn encoded bytes into the pixels that a model with this ``spec`` sees.

    Args:
        data: A PNG, JPEG or WEBP file.
        spec: Size, colour mode and background of the model's gallery.
        max_pixels: Largest width x height that is decoded.

    Raises:
        ImageRejected: The bytes are no usable picture; ``code`` and message say why.
    """
    with opened(data, max_pixels=max_pixels) as image:
        info = _info(image)
        notes = [f"It has {info.frames} frames; the first one was used."] if info.frames > 1 else []
        standing, turned = upright(image)
        if turned:
            notes.append("It was turned upright as its camera data say.")
        flat, had_alpha = flattened(standing)
        if had_alpha:
            notes.append("Its transparent parts were put on white.")
        squared = _resized(_squared(flat.convert("L" if spec.channels == 1 else "RGB")), spec)
    pixels = np.asarray(squared, dtype=np.uint8).reshape(spec.shape)
    (pixels,), (inverted,) = _polarised(pixels[None], spec.background)
    if inverted:
        notes.append(_INVERSION_NOTE[spec.background])
    return DecodedImage(pixels=np.ascontiguousarray(pixels), notes=tuple(notes), info=info)


def decode_batch(images: Sequence[bytes], spec: PixelSpec) -> tuple[NDArray[np.uint8], dict[int, ImageRejected]]:
    """Decode N encoded pictures, whether or not all can be read; the same pixels as :func:`decode`, one by one.

    Plain PNGs that have the model's size already, as Fashion-MNIST is stored, are read ten times as fast.

    Returns:
        uint8 (N, H, W, C), black where a picture was rejected, and why it was, by its place among the N.
    """
    pixels = np.zeros((len(images), *spec.shape), dtype=np.uint8)
    rejected: dict[int, ImageRejected] = {}
    is_square = spec.height == spec.width >= MIN_SIDE  # others are padded, or refused
    found, plain = imaging_png.read_plain(images if is_square else (), spec.shape)
    pixels[found], _ = _polarised(plain, spec.background)
    for position in np.setdiff1d(np.arange(len(images)), found).tolist():
        try:
            pixels[position] = decode(images[position], spec).pixels
        except ImageRejected as error:
            rejected[position] = error
    return pixels, rejected


def decode_many(images: Sequence[bytes], spec: PixelSpec) -> NDArray[np.uint8]:
    """Decode N encoded pictures to uint8 (N, H, W, C); the same pixels as :func:`decode`, one by one.

    Raises:
        ImageRejected: One of them is no usable picture; the message says which.
    """
    pixels, rejected = decode_batch(images, spec)
    for position, error in rejected.items():
        message = f"Picture {position + 1} of {len(images)}: {error.message}"
        raise ImageRejected(message, code=error.code, next_step=error.next_step, status=error.status) from error
    return pixels


def thumbnail(data: bytes, *, side: int = 160) -> bytes:
    """Return a picture of at most ``side`` pixels a side for screens; a small PNG comes back as it is."""
    with opened(data, max_pixels=MAX_PIXELS) as image:
        if image.format == "PNG" and max(image.size) <= side:
            return data
        flat, _ = flattened(upright(image)[0])
        small = flat.convert("L" if flat.mode == "L" else "RGB")
        small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=85, method=2)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------- the steps

_INVERSION_NOTE = {
    "dark": "It is on a light background and the gallery is on black, so it was inverted.",
    "light": "It is on a dark background and the gallery is on white, so it was inverted.",
}


class opened:  # noqa: N801 - reads as a context manager, like open()
    """Open checked and loaded bytes as a Pillow image; every decoder error becomes ``ImageRejected``."""

    def __init__(self, data: bytes, *, max_pixels: int) -> None:
        self._image = _header(data)
        width, height = self._image.size
        if width * height > max_pixels:
            raise _too_many_pixels(f"{width} x {height}", max_pixels)
        if min(width, height) < MIN_SIDE:
            raise ImageRejected(
                f"The picture is only {width} x {height} pixels.",
                code="too_small",
                next_step=f"Use one of at least {MIN_SIDE} x {MIN_SIDE} pixels.",
            )

    def __enter__(self) -> Image.Image:
        return self._image

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._image.close()
        if isinstance(error, _DECODER_ERRORS):
            raise _damaged() from error


def _damaged() -> ImageRejected:
    return ImageRejected(
        "The picture is damaged or incomplete, and cannot be read to its end.",
        code="damaged",
        next_step="Save or download it again, then retry.",
    )


def _too_many_pixels(found: str, allowed: int) -> ImageRejected:
    return ImageRejected(
        f"The picture has {found} pixels, more than the {allowed / 1e6:,.2g} million allowed.",
        code="too_many_pixels",
        next_step="Save it smaller and try again.",
        status=413,
    )


def _header(data: bytes) -> Image.Image:
    if not data:
        raise ImageRejected("The file is empty.", code="empty", next_step="Choose a PNG, JPEG or WEBP picture.")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels("far too many", MAX_PIXELS) from error
    except _DECODER_ERRORS as error:
        if data.startswith(_SIGNATURES):
            raise _damaged() from error
        raise ImageRejected(
            "This is not a PNG, JPEG or WEBP picture.",
            code="not_an_image",
            next_step="Choose a picture in one of these formats.",
            status=415,
        ) from error


def _info(image: Image.Image) -> ImageInfo:
    channels = 1 if image.mode in {"1", "L", "I", "I;16", "I;16B", "F", "LA"} else 3
    frames = int(getattr(image, "n_frames", 1))
    return ImageInfo(str(image.format), image.width, image.height, channels, frames)


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
        return flat, sum(alpha.histogram()[:OPAQUE]) > 0
    return (image if image.mode in {"L", "RGB"} else image.convert("L" if image.mode == "1" else "RGB")), False


def _borders(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the outermost pixels of (N, H, W, C) as (N, P, C)."""
    return np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, 1:-1, 0], pixels[:, 1:-1, -1]], axis=1)


def _squared(image: Image.Image) -> Image.Image:
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


def _resized(image: Image.Image, spec: PixelSpec) -> Image.Image:
    size = (spec.width, spec.height)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _polarised(pixels: NDArray[np.uint8], background: Background) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Invert those of N pictures whose border says that they lie on the other ground than the gallery; says which."""
    if background == "any" or not len(pixels):
        return pixels, np.zeros(len(pixels), dtype=np.bool_)
    levels = np.median(_borders(pixels).reshape(len(pixels), -1), axis=1)
    wrong = levels > 127.5 if background == "dark" else levels < 127.5
    return (np.where(wrong[:, None, None, None], ~pixels, pixels) if wrong.any() else pixels), wrong
