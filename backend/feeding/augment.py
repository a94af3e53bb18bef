"""Random changes of training pictures that keep what they show: mirrored, moved a little. Seeded, on uint8 pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Augmentation = Literal["none", "flip", "flip-shift"]
SHIFT_SHARE = 1 / 14  # of the side: two pixels of 28


def augment(pixels: NDArray[np.uint8], kind: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return changed copies of pictures (N, H, W, C); ``none`` returns them as they are."""
    if kind == "none":
        return pixels
    flipped = np.where(rng.random((len(pixels), 1, 1, 1)) < 0.5, pixels[:, :, ::-1], pixels)
    return flipped if kind == "flip" else _shifted(flipped, rng)


def _shifted(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Move each picture by a few pixels both ways; its edge is repeated where it left."""
    count, height, width, _ = pixels.shape
    down, right = (max(1, round(side * SHIFT_SHARE)) for side in (height, width))
    padded = np.pad(pixels, ((0, 0), (down, down), (right, right), (0, 0)), mode="edge")
    rows = rng.integers(0, 2 * down + 1, count)[:, None] + np.arange(height)  # (N, H)
    columns = rng.integers(0, 2 * right + 1, count)[:, None] + np.arange(width)  # (N, W)
    moved: NDArray[np.uint8] = padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved
