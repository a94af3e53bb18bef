"""The products of a catalogue as rules speak of them: which there are, of what kind, and which fulfil a condition."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.gallery.gallery_file import GalleryFile
from backend.retrieval.gallery.gallery_rows import SCHEMA
from backend.retrieval.rules.compiled import fulfilled
from backend.retrieval.rules.rule import NAMED_BY

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

    from backend.catalogue.snapshot import Snapshot

COLUMNS = [name for name in SCHEMA.names if name != "thumbnail"]  # of a gallery without its pictures


class _Listed(GalleryFile):
    """Rows of a catalogue in the place of a gallery's file; they have no pictures."""

    def __init__(self, rows: pa.Table) -> None:
        self._listed = rows

    @property
    def group_sizes(self) -> list[int]:
        return []

    def read(self, names: Sequence[str]) -> pa.Table:
        return self._listed.select(list(names))


def listed_gallery(rows: pa.Table) -> Gallery:
    """Return rows of a catalogue, with the columns ``COLUMNS``, as a gallery without pictures."""
    return Gallery(_Listed(rows))


class KnownProducts:
    """The products that can be answered; what is withdrawn is none of them.

    Args:
        catalogue: Name of the catalogue.
        rows: The columns of a gallery without its pictures, (N,).
    """

    def __init__(self, catalogue: str, rows: pa.Table) -> None:
        self.catalogue = catalogue
        self._rows = rows.combine_chunks()
        self._gallery = listed_gallery(self._rows)
        self._matching: dict[tuple[tuple[str, Any], ...], frozenset[str]] = {}

    @classmethod
    def of(cls, snapshot: Snapshot) -> KnownProducts:
        """Read the products of a catalogue at one version."""
        return cls(snapshot.name, snapshot.columns(COLUMNS, on_sale_only=True))

    @cached_property
    def ids(self) -> frozenset[str]:
        """Every id."""
        return frozenset(self._gallery.ids)

    @cached_property
    def values(self) -> dict[str, frozenset[str]]:
        """Every name that a product has, by column."""
        return {name: frozenset(filter(None, pc.unique(self._rows.column(name)).to_pylist())) for name in NAMED_BY}

    def matching(self, where: tuple[tuple[str, Any], ...]) -> frozenset[str]:
        """Return the ids of the products that fulfil conditions."""
        if where not in self._matching:
            mask = fulfilled(where, self._gallery)
            self._matching[where] = frozenset(self._rows.column("product_id").filter(pa.array(mask)).to_pylist())
        return self._matching[where]

    def meeting(self, kind: str, value: str) -> Collection[Hashable]:
        """Return names that a product has, or that occur together with one of these."""
        return self._together.get((kind, value), ()) if kind in NAMED_BY else self._of_products.get(value, ())

    @cached_property
    def _of_products(self) -> dict[str, tuple[tuple[str, str], ...]]:
        names = [self._rows.column(name).to_pylist() for name in NAMED_BY]
        rows = zip(self._gallery.ids, *names, strict=True)
        return {
            one: tuple((name, text) for name, text in zip(NAMED_BY, row, strict=True) if text) for one, *row in rows
        }

    @cached_property
    def _together(self) -> dict[tuple[str, str], set[tuple[str, str]]]:
        found: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for keys in set(self._of_products.values()):
            for key in keys:
                found.setdefault(key, set()).update(other for other in keys if other[0] != key[0])
        return found
