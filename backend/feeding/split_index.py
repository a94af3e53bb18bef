"""Where the rows of a split are: ids, labels and row groups, without a picture. What is read is decided on this alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from backend.catalogue.delta.stored_rows import RowGroup, StoredRows
    from backend.catalogue.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class SplitIndex:
    """N rows of one split of a catalogue version, in the order of their ids.

    Attributes:
        product_ids: Ascending; N texts.
        labels: Their labels; N texts.
        stored: Position of each one's first picture among all rows of ``source``, int64 (N,); some may share one.
        group: Number of the row group that each picture is in, int64 (N,).
        source: The rows that hold the version's pictures.
    """

    product_ids: NDArray[np.str_]
    labels: NDArray[np.str_]
    stored: NDArray[np.int64]
    group: NDArray[np.int64]
    source: StoredRows

    def __len__(self) -> int:
        return len(self.product_ids)

    def take(self, rows: NDArray[np.int64]) -> SplitIndex:
        """Return some of the rows, given by their places in ascending order."""
        chosen = {name: getattr(self, name)[rows] for name in ("product_ids", "labels", "stored", "group")}
        return replace(self, **chosen)

    def groups(self) -> Iterator[tuple[RowGroup, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield each row group that holds some of the pictures, their positions in it, and their places here."""
        if not len(self):
            return
        row_groups = self.source.row_groups
        starts = np.cumsum([0, *(group.size for group in row_groups)])
        order = np.argsort(self.stored)
        numbers, firsts = np.unique(self.group[order], return_index=True)
        for number, places in zip(numbers, np.split(order, firsts[1:]), strict=True):
            group, there = row_groups[number], self.stored[places] - starts[number]
            yield group, (there if group.rows is None else group.rows[there]), places


def index_split(snapshot: Snapshot, split: str) -> SplitIndex:
    """List the rows of a split; ids and labels are in memory, whatever their number."""
    keys = snapshot.rows.table(["product_id", "label", "split"])
    rows = np.flatnonzero(np.asarray(pc.equal(keys["split"], split))).astype(np.int64)
    keys, stored, source = keys.take(pa.array(rows)), snapshot.rows.stored_places(rows), snapshot.rows.pictures
    order = np.asarray(pc.sort_indices(keys["product_id"]), dtype=np.int64)
    ends = np.cumsum([group.size for group in source.row_groups], dtype=np.int64)
    group = np.searchsorted(ends, stored, side="right")
    ids = np.asarray(keys["product_id"].to_pylist(), dtype=np.str_)
    labels = keys["label"].combine_chunks().dictionary_encode()  # few different ones: fewer texts to copy
    names = np.asarray(labels.dictionary.to_pylist(), dtype=np.str_)[np.asarray(labels.indices)]
    return SplitIndex(ids[order], names[order], stored[order], group[order], source)
