"""The port between stored pictures and a training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's pictures.

    Attributes:
        pixels: float32 (B, H, W, C) in [0, 1], scaled by ``imaging.to_float`` and by nothing else.
        labels: Class numbers, int32 (B,).
    """

    pixels: NDArray[np.float32]
    labels: NDArray[np.int32]


class Feed(Protocol):
    """Class-balanced batches of a train split, the same for the same seed and epoch."""

    @property
    def steps(self) -> int:
        """Batches in an epoch."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, numbered from 0."""
