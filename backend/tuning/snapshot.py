"""A catalogue version as choices may see it: its train and validation splits, and no row of any other.

The test split is for :mod:`backend.evaluation`, once everything has been decided. Rows of it are masked like deleted ones
before anything is read, so that no label, no count and no picture of them can reach a sweep, whatever asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from backend.catalogue.delta import delta_log
from backend.catalogue.items import PRODUCTS
from backend.catalogue.snapshot import Snapshot, open_snapshot
from backend.catalogue.sources.parquet.files import open_parquet

if TYPE_CHECKING:
    from pathlib import Path

    from deltalake import DeltaTable
    from numpy.typing import NDArray

    from backend.catalogue.pictured import ProductRows

SPLITS = ("train", "validation")


def open_for_choice(catalogues_dir: Path, name: str, version: int | None = None) -> ChoiceSnapshot:
    """Open a catalogue at its newest version, or at the one asked for, without the splits that choices must not see.

    Raises:
        CatalogueNotFound: There is no such catalogue, or it has no such version.
    """
    found = open_snapshot(catalogues_dir, name, version).version
    folder = delta_log.catalogue_folder(catalogues_dir, name)
    return ChoiceSnapshot(folder, delta_log.open_table(folder / PRODUCTS, found))


class ChoiceSnapshot(Snapshot):
    """A snapshot whose only rows are those of :data:`SPLITS`; build it with :func:`open_for_choice`."""

    def __init__(self, folder: Path, table: DeltaTable) -> None:
        super().__init__(folder, table)
        self._rows = _only(self._rows)


def _only(rows: ProductRows) -> ProductRows:
    """Mask all rows that are not of these splits; a file that has none of them is left out."""
    before = rows.masks
    masks = {path: _mask(path, before.get(path)) for path in rows.files}
    kept = {path: mask for path, mask in masks.items() if mask.any()}
    return rows.masked(kept)


def _mask(path: Path, there: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    with open_parquet(path) as file:
        split = file.read(columns=["split"]).column("split")
    mask = np.asarray(pc.fill_null(pc.is_in(split, value_set=pc.cast(list(SPLITS), split.type)), False), dtype=np.bool_)
    if there is not None:
        mask[: len(there)] &= there[: len(mask)]
    return mask
