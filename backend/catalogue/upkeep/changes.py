"""What changed between two versions of a catalogue, product by product, read without a JVM.

The Change Data Feed tells it, so that the cost grows with the change and not with the catalogue. Where the feed does
not reach, the two versions are compared: only in the files that they do not share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.delta.delta_log import catalogue_folder
from backend.catalogue.items import DETAIL_COLUMNS, FURTHER_HASH, Product
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.upkeep.change_rows import rows_between
from backend.catalogue.upkeep.history import require_readable
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ChangeKind = Literal["new", "changed", "withdrawn", "returned", "gone"]
CHANGE_KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)

# What is compared, by the name that the change is told under: a picture is told by its hash, further ones by one for all.
_COMPARED: dict[str, str] = {
    "image": "image_sha256",
    "pictures": FURTHER_HASH,
    **{name: name for name in DETAIL_COLUMNS},
}
_FOUND = pa.schema([("product_id", pa.string()), ("kind", pa.string()), ("columns", pa.uint32())])


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one product.

    Attributes:
        product_id: The product.
        kind: ``new`` and ``gone`` say whether the catalogue holds it, ``withdrawn`` and ``returned`` whether it is on
            sale; ``changed`` is the rest.
        before: The product as it was, with its picture; None for a new one.
        after: The product as it is; None for one that is gone.
        changed_columns: What differs between the two, e.g. ``("image", "price")``.
    """

    product_id: str
    kind: ChangeKind
    before: Product | None
    after: Product | None
    changed_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """All products that differ between two versions of a catalogue; their pictures are read a page at a time.

    Attributes:
        catalogue: Name of the catalogue.
        from_version: The version that is left; it may be the newer one, for a restore.
        to_version: The version that is reached.
        counts: Products by kind, all kinds.
        by_column: Products that are in both versions and differ in a column, by column.
        total: Products in all.
    """

    catalogue: str
    from_version: int
    to_version: int
    counts: Mapping[ChangeKind, int]
    by_column: Mapping[str, int]
    total: int
    _catalogues_dir: Path = field(repr=False)
    _found: pa.Table = field(repr=False, compare=False)

    def page(self, kind: ChangeKind | None = None, *, offset: int = 0, limit: int = 24) -> list[Change]:
        """Return some of the changes, of one kind or all, ordered by product_id, with pictures before and after.

        Raises:
            CatalogueNotFound: A vacuum has removed one of the versions meanwhile.
        """
        found = self._found if kind is None else self._found.filter(pc.equal(self._found["kind"], kind))
        rows = found.slice(offset, limit).to_pylist()
        before = self._products(self.from_version, [row["product_id"] for row in rows if row["kind"] != "new"])
        after = self._products(self.to_version, [row["product_id"] for row in rows if row["kind"] != "gone"])
        return [
            Change(
                product_id=row["product_id"],
                kind=row["kind"],
                before=before.get(row["product_id"]),
                after=after.get(row["product_id"]),
                changed_columns=columns_of(row["columns"]),
            )
            for row in rows
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            "catalogue": self.catalogue,
            "from_version": self.from_version,
            "to_version": self.to_version,
            "counts": dict(self.counts),
            "by_column": dict(self.by_column),
            "total": self.total,
        }

    def _products(self, version: int, ids: Sequence[str]) -> dict[str, Product]:
        if not ids:
            return {}
        require_readable(self._catalogues_dir / self.catalogue, version)
        found = open_snapshot(self._catalogues_dir, self.catalogue, version).products(ids)
        return {product.product_id: product for product in found}


def changes_between(catalogues_dir: Path, name: str, from_version: int, to_version: int) -> ChangeSet:
    """Tell what changed in a catalogue from one version to a newer one, whatever happened in between.

    A product that came and went again, or changed and changed back, did not change.

    Raises:
        CatalogueNotFound: There is no such catalogue or version, or a vacuum has removed its files.
        CatalogueError: ``from_version`` is the newer one.
    """
    if from_version > to_version:
        raise CatalogueError(
            f"Version {from_version} is newer than version {to_version}.",
            next_step="Choose the older version first.",
        )
    return changes_towards(catalogues_dir, name, from_version, to_version)


def changes_towards(catalogues_dir: Path, name: str, from_version: int, to_version: int) -> ChangeSet:
    """Tell what differs at ``to_version`` from ``from_version``, be it newer or older.

    Raises:
        CatalogueNotFound: There is no such catalogue or version, or a vacuum has removed its files.
    """
    folder = catalogue_folder(catalogues_dir, name)
    require_readable(folder, from_version, to_version)
    older, newer = rows_between(folder, *sorted((from_version, to_version)))
    found = differences(older, newer) if from_version <= to_version else differences(newer, older)
    kinds = dict(zip(*(column.to_pylist() for column in pc.value_counts(found["kind"]).flatten()), strict=True))
    bits = np.asarray(found["columns"])
    by_column = {name: int(np.count_nonzero(bits >> at & 1)) for at, name in enumerate(_COMPARED)}
    return ChangeSet(
        catalogue=name,
        from_version=from_version,
        to_version=to_version,
        counts={kind: int(kinds.get(kind, 0)) for kind in CHANGE_KINDS},
        by_column={name: count for name, count in by_column.items() if count},
        total=len(found),
        _catalogues_dir=catalogues_dir,
        _found=found,
    )


def columns_of(bits: int) -> tuple[str, ...]:
    """Return the names of columns by their bits, as :data:`_FOUND` has them."""
    return tuple(name for at, name in enumerate(_COMPARED) if bits >> at & 1)


def differences(before: pa.Table, after: pa.Table) -> pa.Table:
    """Compare rows of two versions by product_id; return :data:`_FOUND` of those that differ, ordered by product_id."""
    partner = pc.index_in(after["product_id"], value_set=before["product_id"])
    is_gone = pc.invert(pc.is_in(before["product_id"], value_set=after["product_id"]))
    kept_after = after.filter(pc.is_valid(partner))
    kept_before = before.take(pc.drop_null(partner))
    parts = [
        _changes(after.filter(pc.is_null(partner))["product_id"], "new"),
        _changes(before.filter(is_gone)["product_id"], "gone"),
        _changed(kept_before, kept_after),
    ]
    return pa.concat_tables(parts).sort_by("product_id").combine_chunks()


def _changed(before: pa.Table, after: pa.Table) -> pa.Table:
    """Compare rows of the same products in the same order."""
    bits = np.zeros(len(before), dtype=np.uint32)
    for at, column in enumerate(_COMPARED.values()):
        bits[_differs(before[column], after[column])] |= np.uint32(1 << at)
    was_on_sale, is_on_sale = (np.asarray(pc.is_null(rows["withdrawn_at"]), dtype=np.bool_) for rows in (before, after))
    kinds = np.where(was_on_sale & ~is_on_sale, "withdrawn", np.where(is_on_sale & ~was_on_sale, "returned", "changed"))
    keep = pa.array((bits != 0) | (was_on_sale != is_on_sale))
    rows = pa.table([after["product_id"], pa.array(kinds.tolist(), pa.string()), pa.array(bits)], schema=_FOUND)
    return rows.filter(keep)


def _differs(before: pa.ChunkedArray, after: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Tell where two columns differ; two nulls are the same."""
    known = pc.fill_null(pc.not_equal(before, after), fill_value=False)
    return np.asarray(pc.or_(known, pc.xor(pc.is_null(before), pc.is_null(after))), dtype=np.bool_)


def _changes(ids: pa.ChunkedArray, kind: ChangeKind) -> pa.Table:
    columns = [ids, pa.array([kind] * len(ids), pa.string()), pa.array(np.zeros(len(ids), dtype=np.uint32))]
    return pa.table(columns, schema=_FOUND)
