"""What a model must beat: its own pixels, and the 128 directions in which they vary most; nothing is learnt from labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from backend.errors import EvaluationError
from backend.imaging import pixels as imaging
from backend.retrieval.directions import leading_directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.imaging.spec import PixelSpec
    from backend.progress import Progress

RAW_PIXELS = "Raw pixels"
COMPONENTS = 128
LONGEST_SIDE = 32  # larger pictures are scaled down for the baselines: their pixels would not fit in memory
_TINY = 1e-12
_BATCH = 1024


def baseline_spec(spec: PixelSpec) -> PixelSpec:
    """Return what baselines see of a model's pictures: the same, but at most 32 pixels a side."""
    return replace(spec, height=min(spec.height, LONGEST_SIDE), width=min(spec.width, LONGEST_SIDE))


def principal_name(size: int) -> str:
    """Name the PCA baseline after its number of directions."""
    return f"PCA {size}"


@dataclass(frozen=True, slots=True)
class RawPixels:
    """The pixels themselves, compared by cosine similarity."""

    spec: PixelSpec

    batch: ClassVar[int] = _BATCH

    @property
    def size(self) -> int:
        """Number of pixels, all channels counted."""
        return int(np.prod(self.spec.shape))

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the pixels of uint8 (N, H, W, C) as rows of length 1, float32 (N, H x W x C)."""
        return _normalised(_flat(pixels))


@dataclass(frozen=True, slots=True)
class Principal:
    """Pixels projected on the directions in which those of the train split vary most; fit it with :meth:`fit`."""

    spec: PixelSpec
    mean: NDArray[np.float32]  # (P,)
    directions: NDArray[np.float32]  # (P, D)

    @classmethod
    def fit(
        cls, spec: PixelSpec, pixels: NDArray[np.uint8], rows: NDArray[np.int64], *, progress: Progress
    ) -> Principal:
        """Find the directions in the pictures of these rows, which must be those of the train split.

        Args:
            spec: What the pictures are.
            pixels: uint8 (N, H, W, C), may be memory-mapped.
            rows: Which of them; int64 (n,).
            progress: May cancel.

        Raises:
            EvaluationError: There are fewer than two pictures.
        """
        if len(rows) < 2:
            raise EvaluationError("PCA needs at least two products in the train split.")
        size = int(np.prod(spec.shape))
        total, products = np.zeros(size), np.zeros((size, size))
        for start in range(0, len(rows), _BATCH):
            progress.check_cancelled()
            part = _flat(pixels[rows[start : start + _BATCH]])
            total += part.sum(axis=0, dtype=np.float64)
            products += part.T @ part  # 1,024 float32 values below 1 add up exactly enough
            progress.report(min(start + _BATCH, len(rows)), len(rows), unit="pictures", note="fitting PCA")
        mean = total / len(rows)
        keep = min(COMPONENTS, size, len(rows) - 1)
        directions = leading_directions(products / len(rows), keep, mean=mean)
        return cls(spec, mean.astype(np.float32), directions.astype(np.float32))

    batch: ClassVar[int] = _BATCH

    @property
    def size(self) -> int:
        """Number of directions."""
        return int(self.directions.shape[1])

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Project uint8 (N, H, W, C), float32 (N, D), each row of length 1."""
        return _normalised((_flat(pixels) - self.mean) @ self.directions)


def _flat(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return imaging.to_float(pixels).reshape(len(pixels), -1)


def _normalised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(lengths, np.float32(_TINY))
    return unit
