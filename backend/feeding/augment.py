"""Random changes of training pictures that keep what they show: mirrored, moved, zoomed, lit otherwise, partly hidden.

Seeded, and on uint8 pixels as :func:`backend.imaging.pixels.decode` gives them. Each kind is a row of steps, one after another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]  # (N, H, W, C)
    Step = Callable[[Pixels, np.random.Generator], Pixels]

Augmentation = Literal["none", "flip", "flip-shift", "flip-shift-colour", "flip-crop", "flip-crop-erase"]
SHIFT_SHARE = 1 / 14  # of the side: two pixels of 28
BRIGHTNESS = (0.8, 1.2)  # factor of all values
CONTRAST = (0.75, 1.25)  # factor of the distance from the picture's mean
TINT = 0.06  # largest change of a single colour's factor
CROP_SIDE = (0.8, 1.0)  # of the side that stays
CROP_STRETCH = (0.9, 1.1)  # width by height of what stays
ERASED_SHARE = 0.5  # of the pictures
ERASED_SIDE = (0.2, 0.45)  # of the side that is hidden


def augment(pixels: Pixels, kind: Augmentation, rng: np.random.Generator) -> Pixels:
    """Return changed copies of pictures (N, H, W, C); ``none`` returns them as they are."""
    for step in _STEPS[kind]:
        pixels = step(pixels, rng)
    return pixels


def _flipped(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    turned = rng.random(len(pixels)) < 0.5
    changed = pixels.copy()
    changed[turned] = pixels[turned, :, ::-1]
    return changed


def _shifted(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Move each picture by a few pixels both ways; its edge is repeated where it left."""
    count, height, width, _ = pixels.shape
    down, right = (max(1, round(side * SHIFT_SHARE)) for side in (height, width))
    padded = np.pad(pixels, ((0, 0), (down, down), (right, right), (0, 0)), mode="edge")
    rows = rng.integers(0, 2 * down + 1, count)[:, None] + np.arange(height)  # (N, H)
    columns = rng.integers(0, 2 * right + 1, count)[:, None] + np.arange(width)  # (N, W)
    return _taken(padded, rows, columns)


def _cropped(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Enlarge a part of each picture to its full size, by the nearest pixel."""
    count, height, width, _ = pixels.shape
    side, stretch = rng.uniform(*CROP_SIDE, count), np.sqrt(rng.uniform(*CROP_STRETCH, count))
    rows = _stretch(np.minimum(side / stretch, 1.0), rng.random(count), height)
    columns = _stretch(np.minimum(side * stretch, 1.0), rng.random(count), width)
    return _taken(pixels, rows, columns)


def _stretch(share: NDArray[np.float64], place: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """Positions (N, size) in a side of ``size`` pixels that spread ``share`` of it, put at ``place``, over all of it."""
    start = (1.0 - share) * place * size
    positions = start[:, None] + (np.arange(size) + 0.5) * share[:, None]
    return np.clip(positions.astype(np.int64), 0, size - 1)


def _taken(pixels: Pixels, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Pixels:
    """Of each picture, the rows (N, H) and columns (N, W)."""
    count = np.arange(len(pixels))[:, None, None]
    taken: Pixels = pixels[count, rows[:, :, None], columns[:, None, :]]
    return taken


def _coloured(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Change brightness, contrast and, of colour pictures, tint: ``v`` becomes ``a v + b``, clipped."""
    count, channels = len(pixels), pixels.shape[-1]
    shape = (count, 1, 1, 1)
    tint = rng.uniform(1.0 - TINT, 1.0 + TINT, (count, 1, 1, channels)) if channels > 1 else 1.0
    brightness, contrast = rng.uniform(*BRIGHTNESS, shape) * tint, rng.uniform(*CONTRAST, shape)
    mean = pixels.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float32)
    factor = (brightness * contrast).astype(np.float32)
    addend = (brightness * (1.0 - contrast) * mean).astype(np.float32)
    coloured: Pixels = np.clip(np.rint(pixels * factor + addend), 0, 255).astype(np.uint8)
    return coloured


def _erased(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Hide a rectangle of some pictures behind one random colour, so that no single detail decides."""
    count, height, width, _ = pixels.shape
    hides = rng.random(count) < ERASED_SHARE
    rows, columns = (_span(rng, count, size) for size in (height, width))
    hidden = (hides[:, None, None] & rows[:, :, None] & columns[:, None, :])[..., None]
    colour = rng.integers(0, 256, (count, 1, 1, pixels.shape[-1]), dtype=np.uint8)
    return np.where(hidden, colour, pixels)


def _span(rng: np.random.Generator, count: int, size: int) -> NDArray[np.bool_]:
    """Mark a random stretch of each of N sides, (N, size)."""
    length = rng.uniform(*ERASED_SIDE, count) * size
    start = rng.random(count) * (size - length)
    places = np.arange(size) + 0.5
    marked: NDArray[np.bool_] = (places > start[:, None]) & (places < (start + length)[:, None])
    return marked


_STEPS: dict[Augmentation, tuple[Step, ...]] = {
    "none": (),
    "flip": (_flipped,),
    "flip-shift": (_flipped, _shifted),
    "flip-shift-colour": (_flipped, _shifted, _coloured),
    "flip-crop": (_flipped, _cropped),
    "flip-crop-erase": (_flipped, _cropped, _erased),
}
