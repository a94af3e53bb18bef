"""What the catalogue says now of the products that are searched: stock, prices and names, by position in the gallery.

Stock changes by the hour and an index by the day, so that both are read from the catalogue and not from the gallery.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.stock import in_stock, sold_out
from backend.catalogue.upkeep.history import catalogue_states, readable_versions
from backend.merchandising.known_products import COLUMNS, listed_gallery
from backend.retrieval.rules.rule import NAMED_BY

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.merchandising.similar.source import Source
    from backend.retrieval.filters import Filters
    from backend.retrieval.gallery.gallery import Gallery

SAME = NAMED_BY  # what a twin may have to share


@dataclass(frozen=True)
class Shelf:
    """The N products of a gallery as one version of their catalogue has them.

    Attributes:
        version: Of the catalogue.
        rows: Columns of a gallery, (N,), empty but for the id where the catalogue does not offer the product any more.
        unsearched: Products that the catalogue offers and that the gallery does not hold yet.
    """

    version: int
    rows: pa.Table
    unsearched: int = 0

    @classmethod
    def of(cls, source: Source, snapshot: Snapshot) -> Shelf:
        """Read what a catalogue says of the products of a gallery."""
        offered = snapshot.columns(COLUMNS, on_sale_only=True)
        places = pc.index_in(source.ids, value_set=offered["product_id"].combine_chunks())
        rows = offered.take(places).combine_chunks()
        rows = rows.set_column(COLUMNS.index("product_id"), "product_id", source.ids)
        return cls(snapshot.version, rows, len(offered) - len(places) + places.null_count)

    @cached_property
    def _gallery(self) -> Gallery:
        return listed_gallery(self.rows)

    @cached_property
    def is_offered(self) -> NDArray[np.bool_]:
        """Products that the catalogue offers, bool (N,)."""
        return np.asarray(pc.is_valid(self.rows["split"]), dtype=np.bool_)

    @cached_property
    def is_sold_out(self) -> NDArray[np.bool_]:
        """Products that are offered and known to be out of stock, bool (N,)."""
        found: NDArray[np.bool_] = sold_out(self.rows) & self.is_offered
        return found

    @cached_property
    def is_in_stock(self) -> NDArray[np.bool_]:
        """Products that are offered and known to be in stock, bool (N,); see :mod:`backend.catalogue.stock`."""
        found: NDArray[np.bool_] = in_stock(self.rows) & self.is_offered
        return found

    @property
    def states_stock(self) -> bool:
        """Whether the catalogue says of any product whether it is in stock."""
        return bool(self.is_sold_out.any() or self.is_in_stock.any())

    def can_be_bought(self, *, unknown: bool = False) -> NDArray[np.bool_]:
        """Return which products may be substitutes, bool (N,): never one that is known to be out of stock.

        Args:
            unknown: Whether those whose stock is not stated count as well; they do where no product states its stock.
        """
        counts_unknown = unknown or not self.states_stock
        return self.is_offered & ~self.is_sold_out if counts_unknown else self.is_in_stock

    @cached_property
    def prices(self) -> NDArray[np.float64]:
        """What each product costs now, reduced where it is on sale, (N,); NaN where no price is stated."""
        paid = pc.coalesce(self.rows["sale_price"], self.rows["price"]).cast(pa.float64())
        found: NDArray[np.float64] = np.asarray(paid, dtype=np.float64)
        return found

    def allowed(self, filters: Filters) -> NDArray[np.bool_] | None:
        """Return which products pass filters, bool (N,); see :meth:`backend.retrieval.gallery.gallery.Gallery.allowed`."""
        return self._gallery.allowed(filters)

    def codes(self, name: str) -> NDArray[np.int32]:
        """Return a number for each product's text in a column, (N,); -1 where it has none."""
        known, codes = self._gallery.codes(name)
        found: NDArray[np.int32] = np.where(np.asarray([bool(text) for text in [*known, ""]])[codes], codes, -1)
        return found

    def names(self, name: str) -> list[str]:
        """Return each product's text in a column, empty where it has none."""
        return [text or "" for text in self.rows[name].to_pylist()]


def shelf_at(source: Source, catalogues_dir: Path, version: int | None = None) -> Shelf:
    """Read what the catalogue of a gallery says of its products, at its newest version or at another one.

    Raises:
        CatalogueNotFound: The catalogue is not here, or has no such version.
        CatalogueError: A file of it is damaged, or a vacuum has removed it.
    """
    return Shelf.of(source, open_snapshot(catalogues_dir, source.manifest.searched.name, version))


def version_before(catalogues_dir: Path, catalogue: str, when: datetime) -> tuple[int, datetime]:
    """Return the version that a catalogue had at a time, and when it became that; the oldest readable where none is as old.

    Raises:
        CatalogueNotFound: There is no such catalogue.
    """
    folder = open_snapshot(catalogues_dir, catalogue).catalogues_dir / catalogue
    readable = set(readable_versions(folder))
    made = {
        one.version: datetime.fromtimestamp(one.commit.timestamp_s, UTC)
        for one in catalogue_states(folder)
        if one.version in readable
    }
    version = max((one for one, at in made.items() if at <= when), default=min(made))
    return version, made[version]
