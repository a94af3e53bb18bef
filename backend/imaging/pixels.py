"""The pixel contract, and its only owner: encoded bytes in, float32 pixels in [0, 1] out.

Every pixel that a model ever sees, in training, in the gallery or in a query, is what :func:`decode` gives; scaling to
[0, 1] happens in :func:`to_float` and nowhere else. The order of the steps is part of the contract:

    format and size checked before decoding -> EXIF turn -> crop to a region -> alpha on white -> colour mode -> scale,
    padded to a square -> sRGB -> polarity of a grey gallery -> uint8 -> float32
"""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from backend.errors import ImageRejected
from backend.imaging import budget, codecs, plain_png, refusals, steps
from backend.imaging.budget import Budget, as_it_is, budgeted, enough_for, is_large, not_large, packed, within
from backend.imaging.region import Region
from backend.imaging.spec import ImageInfo, PixelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from backend.imaging.codecs import Loaded

encode_png = plain_png.encode_png  # ours are read back without a codec, too
MIN_SIDE, LARGE_PIXELS, FORMATS_READ = refusals.MIN_SIDE, refusals.LARGE_PIXELS, refusals.FORMATS_READ
answered, MAX_PIXELS = budget.answered, budget.MAX_PIXELS
kind_of, HEAD_BYTES = codecs.kind_of, codecs.HEAD_BYTES
upright, flattened = steps.upright, steps.flattened
_SIDEWAYS = 5  # orientations from here on exchange width and height
_SPARE = 6  # how many times the size that is needed a large picture is brought down to, at least


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

    def packed(self) -> bytes:
        """Return all of it but ``png`` as bytes, for another process; :meth:`unpacked` reads them."""
        head = {"shape": self.pixels.shape, "notes": self.notes, "info": asdict(self.info)}
        return json.dumps(head).encode() + b"\n" + self.pixels.tobytes()

    @classmethod
    def unpacked(cls, data: bytes) -> DecodedImage:
        """Read what :meth:`packed` returned."""
        line, _, pixels = data.partition(b"\n")
        head = json.loads(line)
        shaped = np.frombuffer(bytearray(pixels), np.uint8).reshape(head["shape"])
        return cls(shaped, tuple(head["notes"]), ImageInfo(**head["info"]))

    def to_float(self) -> NDArray[np.float32]:
        """Return the pixels as float32 (H, W, C) in [0, 1]."""
        return to_float(self.pixels)


def to_float(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Scale uint8 (..., H, W, C) to float32 in [0, 1]; the only place where pixels are scaled. Features stay as they are."""
    if pixels.dtype != np.uint8:
        return pixels.astype(np.float32)
    return np.multiply(pixels, np.float32(1.0 / 255.0), dtype=np.float32)


@budgeted(packed, lambda data: ImageInfo(**json.loads(data)))
def verify(data: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Check that a picture is readable to its end, as cheaply as its format allows; what passes can be decoded.

    A JPEG's whole stream is read at an eighth of its size, and a large WEBP's as one pixel.

    Raises:
        ImageRejected: As :func:`decode`.
    """
    with opened(data, max_pixels=max_pixels, enough=lambda _: (1, 1)) as (picture, info):
        presentable(picture._replace(image=picture.image.crop((0, 0, 1, 1))))  # as decoding will have to
        return info


def decode(
    data: bytes,
    spec: PixelSpec,
    *,
    max_pixels: int = MAX_PIXELS,
    region: Region | None = None,
) -> DecodedImage:
    """Turn encoded bytes into the pixels that a model with this ``spec`` sees.

    Args:
        data: A PNG, JPEG, WEBP, HEIC, AVIF, GIF or TIFF file.
        spec: Size, colour mode and background of the model's gallery.
        max_pixels: Largest width x height that is decoded in full; a HEIC may have twice, a JPEG or WEBP four times as many.
        region: The part of it that counts; all of it where left out.

    Raises:
        ImageRejected: The bytes are no usable picture, or the region is too small; ``code`` and message say why.
    """
    _, plain = _read_plain([] if region else [data], spec, max_pixels)
    if not len(plain):
        return _by_codec(data, spec, max_pixels, region)
    info = ImageInfo("PNG", spec.width, spec.height, plain_png.channels_of(data), 1)
    (inverted,) = steps.on_other_ground(plain, spec)
    return _polarised(DecodedImage(plain[0], (), info, data), spec, inverted=inverted)


def _by_codec(data: bytes, spec: PixelSpec, max_pixels: int = MAX_PIXELS, region: Region | None = None) -> DecodedImage:
    return _budgeted(data, spec.as_dict(), region.edges if region else None, max_pixels=max_pixels)


@budgeted(DecodedImage.packed, DecodedImage.unpacked)
def _budgeted(data: bytes, fields: dict[str, Any], edges: Sequence[float] | None, *, max_pixels: int) -> DecodedImage:
    """Do what :func:`decode` does, for what is known to be no plain PNG, a spec as its fields and a region as its edges."""
    spec, region = PixelSpec(**fields), Region(*edges) if edges else None
    notes: list[str] = []
    with opened(data, max_pixels=max_pixels, enough=enough_for(_needed(spec, region), max_pixels)) as (picture, info):
        if region:
            region.check(info.upright)
        pixels = np.asarray(_fitted(picture, spec, notes, region), dtype=np.uint8).reshape(spec.shape)
        inverted = steps.on_other_ground(pixels[None], spec)[0] and steps.is_grey(picture.image)
    return _polarised(DecodedImage(pixels, tuple(notes), info), spec, inverted=inverted)


def _polarised(found: DecodedImage, spec: PixelSpec, *, inverted: bool) -> DecodedImage:
    if not inverted:
        return replace(found, pixels=np.ascontiguousarray(found.pixels))
    notes = (*found.notes, steps.INVERSION_NOTE[spec.background])
    return replace(found, pixels=np.ascontiguousarray(~found.pixels), notes=notes, png=b"")


def _needed(spec: PixelSpec, region: Region | None) -> float:
    """Return the longer side that a large picture is brought down to, in pixels, so that a region is as sharp as all."""
    return _SPARE * max(spec.shape) / (region.shorter if region else 1.0)


def _fitted(picture: Loaded, spec: PixelSpec, notes: list[str], region: Region | None = None) -> Image.Image:
    """Bring a picture to size and colour mode, and note for the user what had to be done to it."""
    notes += picture.notes
    if picture.frames > 1:
        notes.append(f"It has {picture.frames} frames; the first one was used.")
    if picture.orientation > 1:
        notes.append("It was rotated upright according to its camera data.")
    standing = upright(picture.image, picture.orientation)
    if region:
        standing = standing.crop(region.box(standing.size))
    mode = "L" if spec.channels == 1 else "RGB"
    fitted, was_clear = steps.shown(standing, mode, lambda flat: steps.fitted(flat, spec))
    if was_clear:
        notes.append(steps.CLEAR_NOTE)
    return fitted


def decode_batch(images: Sequence[bytes], spec: PixelSpec) -> tuple[NDArray[np.uint8], dict[int, ImageRejected]]:
    """Decode N encoded pictures, whether or not all can be read; the same pixels as :func:`decode`, one by one.

    Plain PNGs that have the model's size already, as Fashion-MNIST is stored, are read ten times as fast.

    Returns:
        uint8 (N, H, W, C), black where a picture was rejected, and why it was, by its place among the N.
    """
    pixels = np.zeros((len(images), *spec.shape), dtype=np.uint8)
    rejected: dict[int, ImageRejected] = {}
    found, plain = _read_plain(images, spec)
    inverted = steps.on_other_ground(plain, spec)
    pixels[found] = np.where(inverted[:, None, None, None], ~plain, plain) if inverted.any() else plain
    for position in np.setdiff1d(np.arange(len(images)), found).tolist():
        try:
            pixels[position] = _by_codec(images[position], spec).pixels
        except ImageRejected as error:
            rejected[position] = error
    return pixels, rejected


def _read_plain(
    images: Sequence[bytes], spec: PixelSpec, max_pixels: int = MAX_PIXELS
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Read those of N pictures that nothing has to be done to but to read them: which, (M,), and uint8 (M, H, W, C)."""
    is_usual = spec.height == spec.width >= MIN_SIDE and spec.height * spec.width <= max_pixels
    return plain_png.read_plain(images if is_usual else (), spec.shape)  # others are padded, or refused


@budgeted(as_it_is, as_it_is)
def thumbnail(data: bytes, *, side: int = 160, keeps_png: bool = True, kind: str = "WEBP") -> bytes:
    """Return a picture of at most ``side`` pixels a side as WEBP, or JPEG; a small PNG comes back as it is, where ``keeps_png``.

    Raises:
        ImageRejected: As :func:`decode`.
    """
    with opened(data, enough=lambda size: within(size, 2 * side)) as (picture, _):
        if keeps_png and picture.image.format == "PNG" and max(picture.image.size) <= side:
            return data
        small = presentable(picture, lambda flat: _within(flat, side))
    buffer = io.BytesIO()
    small.save(buffer, format=kind, quality=85, method=2)
    return buffer.getvalue()


def presentable(picture: Loaded, scale: Callable[[Image.Image], Image.Image] = lambda flat: flat) -> Image.Image:
    """Return a picture as any program shows it: upright, opaque, in sRGB, L or RGB; ``scale`` is called on the way."""
    image = picture.image
    mode = "L" if image.mode in {"1", "L"} or image.mode.startswith("I") else "RGB"
    return steps.shown(upright(image, picture.orientation), mode, scale)[0]


def _within(image: Image.Image, side: int) -> Image.Image:
    small = image.copy() if max(image.size) <= side else image
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return small


@contextmanager
def opened(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    enough: Callable[[tuple[int, int]], tuple[int, int] | None] = not_large,
    mode: str | None = None,
) -> Iterator[tuple[Loaded, ImageInfo]]:
    """Check, decode and hold a picture; whatever its bytes do to a decoder becomes ``ImageRejected``.

    Only what is ``budgeted`` calls this: what a picture costs is looked at before.

    Args:
        data: An encoded picture.
        max_pixels: Largest width x height that is decoded in full.
        enough: Tells of a size, (W, H), which size is enough; formats that can be decoded smaller are, other large
            pictures are averaged down at once. None: as it is.
        mode: ``L``, where greys are enough.

    Raises:
        ImageRejected: The bytes are no usable picture; ``code`` and message say why.
    """
    kind = kind_of(data)
    if not kind:
        raise refusals.no_picture(data)
    try:
        image, source = codecs.header(data, kind)
        with image:
            Budget(max_pixels).check(image.size, kind, codecs.held_by_decoder(image))
            width, height = image.size
            needed = enough(image.size)
            picture = codecs.loaded(image, source, kind, mode, needed)
            is_turned = picture.orientation >= _SIDEWAYS
            info = ImageInfo(kind, width, height, _channels(picture.image), picture.frames, is_turned)
            yield (_brought_down(picture, needed) if needed and is_large(picture.image.size) else picture), info
    except codecs.DECODER_ERRORS as error:
        raise refusals.damaged() from error
    except MemoryError as error:
        raise refusals.no_memory() from error


def _brought_down(picture: Loaded, enough: tuple[int, int]) -> Loaded:
    small, was_clear = steps.brought_down(picture.image, enough)
    return picture._replace(image=small, notes=picture.notes + (steps.CLEAR_NOTE,) * was_clear)


def _channels(image: Image.Image) -> int:
    return 1 if image.mode in {"1", "L", "LA", "F"} or image.mode.startswith("I") else 3
