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
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from backend import imaging_png, imaging_steps
from backend.errors import ImageRejected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from backend.pixel_spec import PixelSpec

FORMATS = ("PNG", "JPEG", "WEBP")
MIN_SIDE = 8
MAX_PIXELS = 40_000_000
LARGE_PIXELS = 16_000_000
encode_png = imaging_png.encode_png  # ours are read back without a codec, too
upright, flattened = imaging_steps.upright, imaging_steps.flattened
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")
_UNHELD = nullcontext()
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
        png: The PNG of these pixels, where the picture came as that; else empty.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]
    info: ImageInfo
    png: bytes = b""

    def to_png(self) -> bytes:
        """Return the pixels as PNG."""
        return self.png or encode_png(self.pixels)

    def to_float(self) -> NDArray[np.float32]:
        """Return the pixels as float32 (H, W, C) in [0, 1]."""
        return to_float(self.pixels)


def to_float(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale uint8 (..., H, W, C) to float32 in [0, 1]; the only place where pixels are scaled."""
    return np.multiply(pixels, np.float32(1.0 / 255.0), dtype=np.float32)


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


def decode(
    data: bytes,
    spec: PixelSpec,
    *,
    max_pixels: int = MAX_PIXELS,
    while_large: AbstractContextManager[object] = _UNHELD,
) -> DecodedImage:
    """Turn encoded bytes into the pixels that a model with this ``spec`` sees.

    Args:
        data: A PNG, JPEG or WEBP file.
        spec: Size, colour mode and background of the model's gallery.
        max_pixels: Largest width x height that is decoded.
        while_large: Held while a picture of more than ``LARGE_PIXELS`` is in memory, say a lock.

    Raises:
        ImageRejected: The bytes are no usable picture; ``code`` and message say why.
    """
    _, plain = _read_plain([data], spec, max_pixels)
    notes: list[str] = []
    if len(plain):
        pixels, info = plain, ImageInfo("PNG", spec.width, spec.height, imaging_png.channels_of(data), 1)
    else:
        with opened(data, max_pixels=max_pixels) as image, while_large if _is_large(image) else _UNHELD:
            info = _info(image)
            pixels = np.asarray(_fitted(image, spec, notes), dtype=np.uint8).reshape(1, *spec.shape)
    (pixels,), (inverted,) = imaging_steps.polarised(pixels, spec.background)
    if inverted:
        notes.append(imaging_steps.INVERSION_NOTE[spec.background])
    png = data if len(plain) and not inverted else b""
    return DecodedImage(pixels=np.ascontiguousarray(pixels), notes=tuple(notes), info=info, png=png)


def _fitted(image: Image.Image, spec: PixelSpec, notes: list[str]) -> Image.Image:
    """Bring a picture to size and colour mode, and note for the user what had to be done to it."""
    if (frames := _frames(image)) > 1:
        notes.append(f"It has {frames} frames; the first one was used.")
    standing, turned = upright(image)
    if turned:
        notes.append("It was turned upright as its camera data say.")
    flat, had_alpha = flattened(standing)
    if had_alpha:
        notes.append("Its transparent parts were put on white.")
    return imaging_steps.resized(imaging_steps.squared(flat.convert("L" if spec.channels == 1 else "RGB")), spec)


def decode_batch(images: Sequence[bytes], spec: PixelSpec) -> tuple[NDArray[np.uint8], dict[int, ImageRejected]]:
    """Decode N encoded pictures, whether or not all can be read; the same pixels as :func:`decode`, one by one.

    Plain PNGs that have the model's size already, as Fashion-MNIST is stored, are read ten times as fast.

    Returns:
        uint8 (N, H, W, C), black where a picture was rejected, and why it was, by its place among the N.
    """
    pixels = np.zeros((len(images), *spec.shape), dtype=np.uint8)
    rejected: dict[int, ImageRejected] = {}
    found, plain = _read_plain(images, spec)
    pixels[found], _ = imaging_steps.polarised(plain, spec.background)
    for position in np.setdiff1d(np.arange(len(images)), found).tolist():
        try:
            pixels[position] = decode(images[position], spec).pixels
        except ImageRejected as error:
            rejected[position] = error
    return pixels, rejected


def _read_plain(
    images: Sequence[bytes], spec: PixelSpec, max_pixels: int = MAX_PIXELS
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Read those of N pictures that nothing has to be done to but to read them: which, (M,), and uint8 (M, H, W, C)."""
    is_usual = spec.height == spec.width >= MIN_SIDE and spec.height * spec.width <= max_pixels
    return imaging_png.read_plain(images if is_usual else (), spec.shape)  # others are padded, or refused


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
    return ImageInfo(str(image.format), image.width, image.height, channels, _frames(image))


def _frames(image: Image.Image) -> int:
    return int(getattr(image, "n_frames", 1))


def _is_large(image: Image.Image) -> bool:
    return image.width * image.height > LARGE_PIXELS
