"""The feeds of all ranks as one, by which a distributed training is proved right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.feeding.feed import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backend.feeding.feed import Feed


class GlobalFeed:
    """Each batch is those of the feeds one after the other: one process that trains on it sees what all ranks see."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        (self.steps,) = {feed.steps for feed in feeds}
        self._feeds = tuple(feeds)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, numbered from 0."""
        for batches in zip(*(feed.epoch(number) for feed in self._feeds), strict=True):
            yield Batch(
                pixels=np.concatenate([batch.pixels for batch in batches]),
                labels=np.concatenate([batch.labels for batch in batches]),
            )
