"""Encoded bytes as a loaded Pillow image: the door to every decoder, for :mod:`backend.imaging.pixels` alone.

A picture is its pixels. Of what else a file holds only the orientation and the colour profile are used; nothing else is
parsed where that can be helped, nothing is ever encoded again, and no fault in it costs a picture.
"""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from typing import IO, TYPE_CHECKING, NamedTuple, cast

import numpy as np
from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from backend.imaging import outline, refusals, repair, webp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DECODER_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error)
DECODER_ERRORS += (
    Image.DecompressionBombError,
    ArithmeticError,
    LookupError,
    TypeError,
    RuntimeError,
)  # what Pillow raises on bytes nobody foresaw
_ORIENTATION = 0x0112
_SAMPLE_BITS, _STRIP_ROWS, _TILE_COLUMNS, _TILE_ROWS = 258, 278, 322, 323
_WHOLE_NUMBERS = {3: "H", 4: "I"}  # types of a tag
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_BOX = b"ftyp"
_THREADS = 4  # of an AVIF: each takes address space, which is limited
HEAD_BYTES = 256  # that :func:`kind_of` looks at
MISSING_END = "The end of the file is missing, but all rows of the picture are present, so it was used."


class Loaded(NamedTuple):
    """A picture whose pixels are in memory, not turned yet.

    Attributes:
        image: First frame; ``info`` holds the colour profile.
        orientation: EXIF orientation, 1 to 8; 1 where there is none that means anything.
        frames: How many pictures the file holds.
        notes: Sentences for the user.
    """

    image: Image.Image
    orientation: int
    frames: int
    notes: tuple[str, ...] = ()


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Opened as itself, never as a file of several pictures: the further ones of a phone are previews and gain maps."""

    def _read_dpi_from_exif(self) -> None:
        """Nothing is printed here; an EXIF block with a broken resolution costs nothing."""


class _Tiff(TiffImagePlugin.TiffImageFile):
    def load_end(self) -> None:
        """Neither turn the picture nor parse the blocks that tags point to; its size was that of the turned one."""
        self._size = self.im.size


class _Avif(AvifImagePlugin.AvifImageFile):
    """What turns an AVIF is a property of its own; its EXIF block is not read, and never written again."""

    turned = 1

    def _open(self) -> None:
        if not AvifImagePlugin.SUPPORTED:
            raise refusals.no_decoder("AVIF", "Pillow was built without it")
        data = cast("IO[bytes]", self.fp).read()
        self._decoder = AvifImagePlugin._avif.AvifDecoder(data, "auto", _THREADS)  # type: ignore[attr-defined] # noqa: SLF001
        self._size, self.n_frames, self._mode, profile, _, self.turned, _ = self._decoder.get_info()
        self.is_animated = self.n_frames > 1
        if profile:
            self.info["icc_profile"] = profile
        self.seek(0)


def _heif(file: io.BytesIO) -> Image.Image:
    """Open a HEIC file; ``pillow-heif`` is asked for only then, so that all else is read without it."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise refusals.no_decoder("HEIC", "the package pillow-heif is not installed") from error
    image: Image.Image = HeifImageFile(file)  # type: ignore[no-untyped-call]
    return image


_OPENERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": _Jpeg,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": _Tiff,
    "AVIF": _Avif,
    "HEIC": _heif,
}
_HEADS = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}


def kind_of(data: bytes) -> str:
    """Return the format that bytes begin as: PNG, JPEG, WEBP, GIF, TIFF, AVIF, HEIC; empty for any other."""
    for head, kind in _HEADS.items():
        if data.startswith(head):
            return kind
    if data[:4] == b"RIFF" and b"WEBP".startswith(data[8:12]):
        return "WEBP"
    if data[4:8] == _BOX:
        brands = {data[at : at + 4] for at in (8, *range(16, min(int.from_bytes(data[:4], "big"), HEAD_BYTES), 4))}
        return "AVIF" if brands & _AVIF_BRANDS else "HEIC" if brands & _HEIF_BRANDS else ""
    return ""


def header(data: bytes, kind: str) -> tuple[Image.Image, bytes]:
    """Open a picture without decoding it; returns it with the bytes that it is read from, faulty metadata left out.

    Raises:
        DECODER_ERRORS: It cannot be opened.
        ImageRejected: Its decoder is not installed.
    """
    try:
        return _OPENERS[kind](io.BytesIO(data)), data
    except DECODER_ERRORS:
        for bare in repair.bare(data, kind):
            with suppress(*DECODER_ERRORS):
                return _OPENERS[kind](io.BytesIO(bare)), bare
        raise


def loaded(image: Image.Image, data: bytes, kind: str, mode: str | None, enough: tuple[int, int] | None) -> Loaded:
    """Decode a picture that :func:`header` opened from ``data``; where that fails, what can be mended is.

    Args:
        image: The opened picture.
        data: What it was opened from.
        kind: Its format.
        mode: ``L``, where the greys of a JPEG are enough.
        enough: Size, (W, H), that a JPEG or a large WEBP, which is no animation, is decoded at, at least; None: its own.

    Raises:
        DECODER_ERRORS: It cannot be decoded to its end.
    """

    def decoded(image: Image.Image, notes: tuple[str, ...] = ()) -> Loaded:
        if kind == "JPEG":  # others would give a preview, whatever is wrong with the picture itself
            image.draft(mode, enough)
        elif kind == "WEBP" and enough and _is_large_still(image):
            return _scaled_webp(image, data, enough)
        elif kind == "HEIC" and enough and image.width * image.height > refusals.LARGE_PIXELS:
            return Loaded(cast("Image.Image", HeicRows(data)), 1, 1, notes)
        image.load()
        return Loaded(image, _orientation(image, kind), _frames(image, data, kind), notes)

    try:
        return decoded(image)
    except DECODER_ERRORS:
        for mended, notes in _mended(data, kind):
            with suppress(*DECODER_ERRORS):
                return decoded(_OPENERS[kind](io.BytesIO(mended)), notes)
        raise


class HeicRows:
    """A large HEIC in the memory of its decoder, from where it is copied band by band only; like a Pillow image to read."""

    def __init__(self, data: bytes) -> None:
        from pillow_heif import open_heif

        self._decoded = open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
        self._pixels = np.asarray(self._decoded)  # is told the size as it really is
        self.size, self.mode, self.info = self._decoded.size, self._decoded.mode, self._decoded.info
        self.width, self.height = self.size

    def crop(self, box: tuple[int, int, int, int]) -> Image.Image:
        """Return a part, (left, top, right, bottom), as an image of its own."""
        left, top, right, bottom = box
        return Image.fromarray(np.ascontiguousarray(self._pixels[top:bottom, left:right]))


def held_by_decoder(image: Image.Image) -> int:
    """Return how many bytes a decoder holds beside the picture itself: all of a strip of a packed TIFF, which may be one."""
    if not isinstance(image, _Tiff) or not image.tile or image.tile[0][0] != "libtiff":
        return 0
    tags = image.tag_v2
    rows = min(int(tags.get(_TILE_ROWS) or tags.get(_STRIP_ROWS) or image.height), image.height)
    columns = min(int(tags.get(_TILE_COLUMNS) or image.width), image.width)
    return rows * columns * sum(tags.get(_SAMPLE_BITS, (8,))) // 8


def _is_large_still(image: Image.Image) -> bool:
    is_large = image.width * image.height > refusals.LARGE_PIXELS
    return is_large and not getattr(image, "is_animated", False)


def _scaled_webp(image: Image.Image, data: bytes, size: tuple[int, int]) -> Loaded:
    small = webp.scaled(data, size)
    if image.mode == "RGB":
        small = small.convert("RGB")
    small.info = image.info
    return Loaded(small, _orientation(image, "WEBP"), 1)


def _mended(data: bytes, kind: str) -> Iterator[tuple[bytes, tuple[str, ...]]]:
    """Yield what may be read in place of bytes that a decoder refused, and what is to be said of it."""
    for bare in repair.bare(data, kind):
        yield bare, ()
        if kind == "JPEG" and (whole := repair.completed_jpeg(bare, _OPENERS[kind])):
            yield whole, (MISSING_END,)


def _frames(image: Image.Image, data: bytes, kind: str) -> int:
    if kind in {"JPEG", "HEIC"}:  # a HEIC file names the one picture that it is
        return 1
    if kind == "TIFF":  # Pillow would read every one of what may be a hundred thousand directories
        return outline.tiff_frames(data)
    try:
        return int(getattr(image, "n_frames", 1))
    except DECODER_ERRORS:  # a fault in the second frame is none in the first
        return 1


def _orientation(image: Image.Image, kind: str) -> int:
    if kind == "HEIC":  # its decoder has turned it
        return 1
    if isinstance(image, _Avif):
        return _sensible(image.turned)
    if isinstance(image, _Tiff):
        try:
            return _sensible(image.tag_v2.get(_ORIENTATION))
        except DECODER_ERRORS:
            return 1
    return orientation_in(image.info.get("exif"))


def orientation_in(exif: object) -> int:
    """Return the orientation that an EXIF block names, 1 to 8; 1 where it names none, or nothing that it can be.

    Source: CIPA DC-008 (Exif 2.32), 4.6.4 A, tag 0x0112 of IFD 0, a SHORT; a LONG is understood.
    """
    block = exif.removeprefix(b"Exif\0\0") if isinstance(exif, bytes) else b""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", block, at)
            if tag == _ORIENTATION:
                is_number = kind in _WHOLE_NUMBERS and values == 1
                return _sensible(*struct.unpack_from(order + _WHOLE_NUMBERS[kind], block, at + 8)) if is_number else 1
    except struct.error:  # the block ends before it says
        return 1
    return 1


def _sensible(orientation: object) -> int:
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
