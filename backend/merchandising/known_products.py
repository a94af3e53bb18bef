"""The products of a catalogue as rules speak of them: which there are, of what kind, and which fulfil a condition."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.gallery.gallery_file import GalleryFile
from backend.retrieval.gallery.gallery_rows import SCHEMA
from backend.retrieval.rules.rule import SOLD_OUT

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot

NAMES = ("label", "category", "brand")
_LEFT_OUT = ("thumbnail",)
_OUT_OF_STOCK = "out of stock"


class _Listed(GalleryFile):
    """Rows of a catalogue in the place of a gallery's file; they have no pictures."""

    def __init__(self, rows: pa.Table) -> None:
        self._listed = rows

    @property
    def group_sizes(self) -> list[int]:
        return []

    def read(self, names: Sequence[str]) -> pa.Table:
        return self._listed.select(list(names))


class KnownProducts:
    """The products that can be answered; what is withdrawn is none of them.

    Args:
        catalogue: Name of the catalogue.
        rows: The columns of a gallery without its pictures, (N,).
    """

    def __init__(self, catalogue: str, rows: pa.Table) -> None:
        self.catalogue = catalogue
        self._rows = rows.combine_chunks()
        self._gallery = Gallery(_Listed(self._rows))
        self._matching: dict[tuple[tuple[str, Any], ...], frozenset[str]] = {}

    @classmethod
    def of(cls, snapshot: Snapshot) -> KnownProducts:
        """Read the products of a catalogue at one version."""
        names = [name for name in SCHEMA.names if name not in _LEFT_OUT]
        return cls(snapshot.name, snapshot.columns(names, on_sale_only=True))

    @cached_property
    def ids(self) -> frozenset[str]:
        """Every id."""
        return frozenset(self._gallery.ids)

    @cached_property
    def values(self) -> dict[str, frozenset[str]]:
        """Every label, category and brand that a product has."""
        return {name: frozenset(filter(None, pc.unique(self._rows.column(name)).to_pylist())) for name in NAMES}

    def matching(self, where: tuple[tuple[str, Any], ...]) -> frozenset[str]:
        """Return the ids of the products that fulfil conditions."""
        if where not in self._matching:
            filters = dict(where)
            sold_out = filters.pop(SOLD_OUT, None)
            allowed = self._gallery.allowed(filters)
            mask = np.ones(self._gallery.size, dtype=np.bool_) if allowed is None else allowed
            if sold_out is not None:
                mask = mask & (self._sold_out == sold_out)
            self._matching[where] = frozenset(self._rows.column("product_id").filter(pa.array(mask)).to_pylist())
        return self._matching[where]

    def meeting(self, kind: str, value: str) -> Collection[Hashable]:
        """Return labels, categories and brands that a product has, or that occur together with one of these."""
        return self._together.get((kind, value), ()) if kind in NAMES else self._of_products.get(value, ())

    @cached_property
    def _of_products(self) -> dict[str, tuple[tuple[str, str], ...]]:
        names = [self._rows.column(name).to_pylist() for name in NAMES]
        rows = zip(self._gallery.ids, *names, strict=True)
        return {one: tuple((name, text) for name, text in zip(NAMES, row, strict=True) if text) for one, *row in rows}

    @cached_property
    def _together(self) -> dict[tuple[str, str], set[tuple[str, str]]]:
        found: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for keys in set(self._of_products.values()):
            for key in keys:
                found.setdefault(key, set()).update(other for other in keys if other[0] != key[0])
        return found

    @cached_property
    def _sold_out(self) -> NDArray[np.bool_]:
        """Which products are known to be out of stock."""
        stock = pc.fill_null(pc.less_equal(self._rows.column("stock"), 0), fill_value=False)
        said = pc.fill_null(pc.equal(self._rows.column("availability"), _OUT_OF_STOCK), fill_value=False)
        return np.asarray(pc.or_(stock, said), dtype=np.bool_)
