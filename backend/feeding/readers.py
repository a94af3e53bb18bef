"""The port between a catalogue version's files and decoding, and its first adapter: Arrow.

A reader streams the pictures of an index in any order, each exactly once, a bounded number at a time. Which rows those
are was decided before, from the log of one version, so that two readers can differ in their order and in nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

from backend.catalogue.sources.parquet.files import open_parquet
from backend.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator

    import pyarrow.parquet as pq
    from numpy.typing import NDArray

    from backend.catalogue.delta.stored_rows import RowGroup
    from backend.feeding.split_index import SplitIndex

ReaderName = Literal["arrow", "petastorm"]
READERS: tuple[ReaderName, ...] = get_args(ReaderName)


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


def reader_for(name: ReaderName) -> SplitReader:
    """Return the reader of that name.

    Raises:
        ConfigurationError: There is none.
    """
    if name == "arrow":
        return ArrowReader()
    if name == "petastorm":
        from backend.feeding.petastorm import PetastormReader

        return PetastormReader()
    raise ConfigurationError(f"There is no reader {name!r}.", next_step=f"Choose {' or '.join(READERS)}.")


class ArrowReader:
    """Reads the row groups that the rows lie in, and no others, by pyarrow; rows are found by their position."""

    def pictures(self, index: SplitIndex, *, batch_size: int) -> Generator[StoredPictures]:
        """Yield every row of ``index`` once; see :class:`SplitReader`."""
        for path, groups in groupby(index.groups(), key=lambda found: found[0].path):
            with open_parquet(path) as file:
                for group, positions, places in groups:
                    yield from _group_pictures(file, group, positions, places, batch_size)


def _group_pictures(
    file: pq.ParquetFile,
    group: RowGroup,
    positions: NDArray[np.int64],
    places: NDArray[np.int64],
    batch_size: int,
) -> Generator[StoredPictures]:
    start = 0
    for batch in file.iter_batches(batch_size, row_groups=[group.number], columns=["image"]):
        first, last = np.searchsorted(positions, [start, start + batch.num_rows])
        images = batch.column(0).to_numpy(zero_copy_only=False)[positions[first:last] - start]
        start += batch.num_rows
        if first < last:
            yield StoredPictures(places[first:last], images.tolist())
