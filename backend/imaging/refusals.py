"""Why bytes are no usable picture, in sentences; for :mod:`backend.imaging.pixels` and its parts, and what names formats."""

from __future__ import annotations

from backend.errors import ImageRejected

MIN_SIDE = 8
# From here on a picture is brought down while it is read: a decoded one has up to four bytes a pixel.
LARGE_PIXELS = 4_000_000
MOST_ASPECT = 100  # longer side over shorter; a shop's long detail pages have up to 40
FORMATS_READ = "PNG, JPEG, WEBP, HEIC, AVIF, GIF or TIFF"


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Refuse a picture, (W, H), that is too large, too small, or too long and narrow.

    Raises:
        ImageRejected: It is.
    """
    width, height = size
    if width * height > max_pixels:
        raise ImageRejected(
            f"The picture has {width} x {height} pixels; at most {max_pixels / 1e6:,.2g} million are allowed.",
            code="too_many_pixels",
            next_step="Save it smaller and try again.",
            status=413,
        )
    if max(size) > MOST_ASPECT * min(size) and min(size):
        raise ImageRejected(
            f"The picture has {width} x {height} pixels, which is too long and narrow to show a product.",
            code="too_narrow",
            next_step=f"Crop it until its longer side is at most {MOST_ASPECT} times its shorter one.",
        )
    if min(size) < MIN_SIDE:
        raise ImageRejected(
            f"The picture is only {width} x {height} pixels.",
            code="too_small",
            next_step=f"Use one of at least {MIN_SIDE} x {MIN_SIDE} pixels.",
        )


def no_picture(data: bytes) -> ImageRejected:
    """Bytes that begin as no format that is read."""
    if not data:
        return ImageRejected("The file is empty.", code="empty", next_step="Choose a PNG, JPEG or WEBP picture.")
    return ImageRejected(
        f"This is not a {FORMATS_READ} picture.",
        code="not_an_image",
        next_step="Choose a picture in one of these formats.",
        status=415,
    )


def damaged() -> ImageRejected:
    """Bytes that a decoder gave up on."""
    return ImageRejected(
        "The picture is damaged or incomplete and cannot be read completely.",
        code="damaged",
        next_step="Save or download it again, then retry.",
    )


def too_costly() -> ImageRejected:
    """A picture that would take more than one picture may."""
    return ImageRejected(
        "Reading this picture would take too much time or memory.",
        code="too_costly",
        next_step="Open it in a picture editor, save it as a plain JPEG or PNG, and try again.",
        status=413,
    )


def no_memory() -> ImageRejected:
    """A picture that is too large for what memory is left."""
    return ImageRejected(
        "There is not enough memory to read the picture.",
        code="out_of_memory",
        next_step="Save it smaller and try again.",
        status=413,
    )


def no_decoder(kind: str, why: str) -> ImageRejected:
    """A format whose decoder is missing here."""
    return ImageRejected(
        f"{kind} pictures cannot be read here: {why}.",
        code="unsupported_format",
        next_step="Save it as PNG, JPEG or WEBP and try again.",
        status=415,
    )
