"""Small pictures for tests of sources, and what a source gives of them."""

from __future__ import annotations

import io

import pillow_heif
from PIL import Image

from backend.imaging.pixels import decode_batch


def encoded(seed: int = 0, *, side: int = 24, kind: str = "PNG") -> bytes:
    """A picture of one colour that ``seed`` decides."""
    colour = (seed * 37 % 256, seed * 91 % 256, seed * 53 % 256)
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, format=kind)
    return buffer.getvalue()


def all_decoded(images, spec):
    """Pixels of usable pictures, uint8 (N, H, W, C)."""
    pixels, rejected = decode_batch(images, spec)
    assert not rejected
    return pixels


_KINDS = {
    ".png": "PNG",
    ".apng": "PNG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
}
pillow_heif.register_heif_opener()  # so that Pillow writes HEIC, too


def put(folder, *names):
    """Write a picture under each of these paths; returns them by path."""
    written = {}
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = _KINDS.get(path.suffix.lower(), "JPEG")
        path.write_bytes(encoded(seed, kind=kind))
        written[name] = path.read_bytes()
    return written


def pictures_of(source, entries=None):
    """Read the pictures of all entries, by id."""
    entries = source.entries() if entries is None else entries
    (batch,) = entries.combine_chunks().to_batches()
    return dict(zip(entries["product_id"].to_pylist(), source.read(batch), strict=True))


def by_id(entries):
    """Entries as rows by their id."""
    return {row["product_id"]: row for row in entries.to_pylist()}


def codes_of(entries):
    """The first word of each entry's reason, by id; null where there is none."""
    return {name: row["reason"] and row["reason"].partition(":")[0] for name, row in by_id(entries).items()}
