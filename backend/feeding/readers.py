"""The readers there are, by name, and the one that reads by Arrow; :mod:`backend.feeding.reader` says what one is."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from backend.catalogue.sources.parquet.files import open_parquet
from backend.errors import ConfigurationError
from backend.feeding.petastorm import PetastormReader
from backend.feeding.reader import StoredPictures

if TYPE_CHECKING:
    from collections.abc import Generator

    import pyarrow.parquet as pq
    from numpy.typing import NDArray

    from backend.catalogue.delta.stored_rows import RowGroup
    from backend.feeding.reader import SplitReader
    from backend.feeding.split_index import SplitIndex

ReaderName = Literal["arrow", "petastorm"]
READERS: tuple[ReaderName, ...] = get_args(ReaderName)


def reader_for(name: ReaderName) -> SplitReader:
    """Return the reader of that name.

    Raises:
        ConfigurationError: There is none.
    """
    if name == "arrow":
        return ArrowReader()
    if name == "petastorm":
        return PetastormReader()
    raise ConfigurationError(f"There is no reader {name!r}.", next_step=f"Choose {' or '.join(READERS)}.")


class ArrowReader:
    """Reads the row groups that the rows are in, and no others, by pyarrow; rows are found by their position."""

    def pictures(self, index: SplitIndex, *, batch_size: int) -> Generator[StoredPictures]:
        """Yield every row of ``index`` once; see :class:`backend.feeding.reader.SplitReader`."""
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
