"""What every feed makes of decoded pictures: balanced, augmented batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.feeding.augment import augment
from backend.feeding.feed import Batch
from backend.feeding.sampling import balanced_batches
from backend.imaging import pixels as imaging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from backend.feeding.augment import Augmentation

_AUGMENTATION_STREAM = 1  # keeps the draws of augmentation apart from those of the sampling


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How batches are drawn: P classes with K examples each, ``steps`` times an epoch.

    ``steps`` 0 means as many as make one pass over the rows.
    """

    classes: int
    examples: int
    steps: int
    augmentation: Augmentation
    seed: int


class PixelFeed:
    """A feed over decoded pictures that can be read by row, in memory or memory-mapped.

    Args:
        pixels: uint8 (N, H, W, C).
        labels: Class number of each row, int32 (N,); negative ones are never drawn.
        plan: How batches are drawn.
    """

    def __init__(self, pixels: NDArray[np.uint8], labels: NDArray[np.int32], plan: BatchPlan) -> None:
        self._pixels, self._labels, self._plan = pixels, labels, plan
        usable = int(np.count_nonzero(labels >= 0))
        self._steps = plan.steps or max(1, usable // (plan.classes * plan.examples))

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self._steps

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, numbered from 0."""
        plan = self._plan
        changes = np.random.default_rng((plan.seed, number, _AUGMENTATION_STREAM))
        for rows in balanced_batches(
            self._labels,
            classes=plan.classes,
            examples=plan.examples,
            steps=self._steps,
            seed=plan.seed,
            epoch=number,
        ):
            pixels = augment(np.asarray(self._pixels[rows]), plan.augmentation, changes)
            yield Batch(pixels=imaging.to_float(pixels), labels=self._labels[rows])
