"""The port between a catalogue version's files and decoding.

A reader streams the pictures of an index in any order, each exactly once, a bounded number at a time. Which rows those
are was decided before, from the log of one version, so that two readers can differ in their order and in nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    from numpy.typing import NDArray

    from backend.feeding.split_index import SplitIndex


@dataclass(frozen=True, slots=True)
class StoredPictures:
    """Some of the pictures of an index, as they are stored.

    Attributes:
        rows: Their places in the index, int64 (B,).
        images: The encoded pictures; B.
    """

    rows: NDArray[np.int64]
    images: list[bytes]

    def __len__(self) -> int:
        return len(self.images)


class SplitReader(Protocol):
    """Streams encoded pictures from the Parquet files of one catalogue version."""

    def pictures(self, index: SplitIndex, *, batch_size: int) -> Generator[StoredPictures]:
        """Yield every row of ``index`` once, at most ``batch_size`` at a time, in any order.

        An iterator that is closed early leaves no thread and no open file behind.

        Raises:
            EnvironmentUnready: What it reads with is not installed.
            CatalogueError: It cannot tell the version's rows from others in the same files.
        """
