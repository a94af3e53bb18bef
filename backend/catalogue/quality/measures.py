"""Numbers that tell a poor picture from a good one, and a hash that near duplicates share; runs on the executors.

A picture is measured at one size, so that numbers of large and small originals compare: in grey, upright, transparent
parts on white, its longer side brought down to :data:`SIDE` pixels. A smaller picture is measured as it is, because to
enlarge it would blur it. Photos are decoded no larger than that needs.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from PIL import Image

from backend.catalogue.schemas import QUALITY_SCHEMA
from backend.errors import ImageRejected
from backend.imaging.budget import budgeted, packed
from backend.imaging.pixels import MAX_PIXELS, flattened, opened, to_float, upright

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

# Of 128, 192 and 256, measured on 300 photos of clothes and the same photos blurred by 0.5 % of their longer side:
# with 3 % of the originals below a threshold, 34, 80 and 92 % of the blurred ones are; 192 costs 0.3 ms less than 256.
SIDE = 192
# Bits a side of the perceptual hash: 256 in all, 64 hexadecimal digits. See :data:`quality_view.NEAR_DISTANCE`.
HASH_SIZE = 16
# Below this standard deviation a picture shows nothing, and what its hash would tell is the noise.
FLAT_BELOW = 0.01
NO_HASH = ""
# What the executors give: a row of ``quality``, or why there is none.
MEASURED_SCHEMA = pa.schema([*QUALITY_SCHEMA, pa.field("reason", pa.string())])
_SHORTEST = 3  # pixels that the Laplacian needs
_LEVELS = to_float(np.arange(256, dtype=np.uint8)).astype(np.float64)
_SQUARES = _LEVELS**2


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured of one picture.

    Attributes:
        brightness: Mean grey, in [0, 1].
        contrast: Standard deviation of grey, in [0, 0.5].
        sharpness: Variance of the Laplacian of grey in [0, 1]: of how much every pixel differs from its four
            neighbours, together. Some 0.001 for a blurred photo, some 0.01 for a sharp one; in [0, 16].
        entropy: Bits that one pixel's grey tells, in [0, 8]; 0 for a picture of one grey.
        phash: Perceptual hash, :data:`HASH_SIZE` squared bits as hexadecimal text, as ``imagehash.phash`` makes it;
            :data:`NO_HASH` for a picture that shows nothing.
    """

    brightness: float
    contrast: float
    sharpness: float
    entropy: float
    phash: str


@budgeted(packed, lambda data: Measures(**json.loads(data)))
def measure(image: bytes, *, max_pixels: int = MAX_PIXELS) -> Measures:
    """Measure one encoded picture.

    Raises:
        ImageRejected: It cannot be decoded, or has more than ``max_pixels`` pixels.
    """
    grey = _grey(image, max_pixels)
    counts = np.array(grey.histogram(), dtype=np.float64)
    shares = counts / counts.sum()
    brightness = float(shares @ _LEVELS)
    contrast = math.sqrt(max(float(shares @ _SQUARES) - brightness**2, 0.0))
    some = shares[shares > 0]
    return Measures(
        brightness=brightness,
        contrast=contrast,
        sharpness=_sharpness(to_float(np.asarray(grey))),
        entropy=max(float(-(some @ np.log2(some))), 0.0),  # never minus nought
        phash=perceptual_hash(grey) if contrast >= FLAT_BELOW else NO_HASH,
    )


def measure_batches(batches: Iterable[pa.RecordBatch], *, max_pixels: int) -> Iterator[pa.RecordBatch]:
    """Measure streams of (image_sha256, image) where Spark runs; equal pictures of one stream only once.

    Returns:
        Batches of :data:`MEASURED_SCHEMA`; a picture that cannot be measured has a reason and nothing else.
    """
    seen: set[str] = set()
    for batch in batches:
        pairs = zip(batch.column("image_sha256").to_pylist(), batch.column("image"), strict=True)
        rows = []
        for sha256, image in pairs:
            if sha256 not in seen:
                seen.add(sha256)
                rows.append({"image_sha256": sha256, **_row(image.as_py(), max_pixels)})
        yield pa.RecordBatch.from_pylist(rows, schema=MEASURED_SCHEMA)


def _row(image: bytes, max_pixels: int) -> dict[str, object]:
    try:
        return asdict(measure(image, max_pixels=max_pixels))
    except ImageRejected as error:
        return {"reason": f"{error.code}: {error.message}"}


def perceptual_hash(grey: Image.Image) -> str:
    """Return the perceptual hash of a grey picture as text; the same as ``str(imagehash.phash(grey, HASH_SIZE))``."""
    from imagehash import phash

    bits = phash(grey, hash_size=HASH_SIZE).hash
    return np.packbits(bits).tobytes().hex()  # a quarter of the time that str() takes


def _grey(data: bytes, max_pixels: int) -> Image.Image:
    with opened(data, max_pixels=max_pixels, enough=_reduced, mode="L") as (picture, _):
        flat, _ = flattened(upright(picture.image, picture.orientation))
        grey = flat if flat.mode == "L" else flat.convert("L")
        size = _reduced(grey.size)
        # Averages, because what other filters do to an edge depends on how far they reduce.
        return grey.copy() if grey.size == size else grey.resize(size, Image.Resampling.BOX)


def _reduced(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, SIDE / max(size))
    width, height = (max(_SHORTEST, round(scale * side)) for side in size)
    return width, height


def _sharpness(grey: NDArray[np.float32]) -> float:
    """Return the variance of the Laplacian of grey (H, W) in [0, 1]."""
    around = grey[:-2, 1:-1] + grey[2:, 1:-1]
    around += grey[1:-1, :-2]
    around += grey[1:-1, 2:]
    around -= 4 * grey[1:-1, 1:-1]
    laplacian = around.ravel()
    return max(float(laplacian @ laplacian) / laplacian.size - float(laplacian.mean()) ** 2, 0.0)
