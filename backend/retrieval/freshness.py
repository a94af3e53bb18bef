"""How far an index is behind its catalogue: which products came, changed and went since the version it was made from.

The Change Data Feed tells it, without a JVM; what it costs grows with the change and not with the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.delta.delta_log import catalogue_folder, newest_version
from backend.catalogue.items import DETAIL_COLUMNS, FURTHER_HASH, GALLERY_SPLITS, PRODUCTS
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.upkeep.change_rows import rows_between
from backend.catalogue.upkeep.history import require_readable
from backend.errors import CatalogueNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backend.bundles.bundle import CatalogueRef, IndexInfo

_PICTURE = "image_sha256"


@dataclass(frozen=True, slots=True)
class GalleryChanges:
    """What a gallery of one version lacks to be the gallery of a newer one; ids in ascending order.

    Attributes:
        from_version, to_version: The two versions of the catalogue.
        embed: Products that are new in the gallery, or have another picture.
        details: Products whose first picture stays, and whose further ones, label, split, text, price or stock changed.
        remove: Products that are not in the gallery any more: gone or withdrawn.
    """

    from_version: int
    to_version: int
    embed: tuple[str, ...]
    details: tuple[str, ...]
    remove: tuple[str, ...]

    @property
    def total(self) -> int:
        """Products that differ."""
        return len(self.embed) + len(self.details) + len(self.remove)


@dataclass(frozen=True, slots=True)
class Behind:
    """How far what is searched is behind the catalogue.

    Attributes:
        catalogue: Name of the catalogue.
        version: Version that is searched.
        newest: Version that the catalogue is at.
        products: Products that differ; None where that cannot be told any more.
    """

    catalogue: str
    version: int
    newest: int
    products: int | None

    @property
    def versions(self) -> int:
        """Versions between the two."""
        return self.newest - self.version

    @property
    def is_behind(self) -> bool:
        """Whether an answer could be another one: a version that moves no product makes no difference."""
        return self.products != 0

    @property
    def text(self) -> str:
        """How far it is behind, in words."""
        if not self.is_behind:
            return "Up to date"
        versions = f"{self.versions:,} version{'s' * (self.versions != 1)}"
        if self.products is None:
            return f"{versions} behind"
        products = f"{self.products:,} product{'s' * (self.products != 1)}"
        return f"{versions}, {products} behind" if self.versions else f"{products} not searched yet"

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "catalogue": self.catalogue,
            "version": self.version,
            "newest": self.newest,
            "versions": self.versions,
            "products": self.products,
        }


def behind(catalogues_dir: Path, ref: CatalogueRef, *, splits: Sequence[str] = GALLERY_SPLITS) -> Behind | None:
    """Tell how far an index is behind the newest version of its catalogue; None where there is no such catalogue here.

    Args:
        catalogues_dir: Where the catalogues are.
        ref: The version that the index was made from.
        splits: The splits that it holds.
    """
    newest = newest_version(catalogue_folder(catalogues_dir, ref.name) / PRODUCTS)
    if not newest or newest < ref.version:
        return None  # the catalogue of an endpoint on another machine
    if newest == ref.version and not _lacking(splits):
        return Behind(ref.name, ref.version, newest, 0)
    try:
        products = gallery_changes(catalogues_dir, ref, newest, splits=splits).total
    except CatalogueNotFound:  # a vacuum has removed the old version: that it is behind is all there is to say
        return Behind(ref.name, ref.version, newest, None)
    return Behind(ref.name, ref.version, newest, products)


def index_behind(catalogues_dir: Path, info: IndexInfo) -> Behind | None:
    """Tell how far a bundle's index is behind; see :func:`behind`."""
    return behind(catalogues_dir, info.catalogue, splits=info.splits)


def gallery_changes(
    catalogues_dir: Path, ref: CatalogueRef, to_version: int, *, splits: Sequence[str] = GALLERY_SPLITS
) -> GalleryChanges:
    """Tell what a gallery lacks, from one version to a newer one, whatever happened in between.

    Args:
        catalogues_dir: Where the catalogues are.
        ref: The version that the gallery was made from.
        to_version: The newer one, or the same.
        splits: The splits that it holds; of those that it does not, every product is lacking.

    Raises:
        CatalogueNotFound: There is no such catalogue or version, or a vacuum has removed its files.
        CatalogueError: A file of the table is damaged.
    """
    folder = catalogue_folder(catalogues_dir, ref.name)
    require_readable(folder, ref.version, to_version)
    before, after = (_shown(rows, splits) for rows in rows_between(folder, ref.version, to_version))
    if lacking := _lacking(splits):
        added = open_snapshot(catalogues_dir, ref.name, to_version).columns(after.column_names, splits=lacking)
        after = pa.concat_tables([after, _shown(added, lacking).cast(after.schema)]).combine_chunks()
    partner = pc.index_in(after["product_id"], value_set=before["product_id"])
    is_new = pc.is_null(partner)
    kept, was = after.filter(pc.invert(is_new)), before.take(pc.drop_null(partner))
    has_new_picture = pc.not_equal(kept[_PICTURE], was[_PICTURE])
    has_new_details = pc.and_not(_any_differs(kept, was), has_new_picture)
    is_gone = pc.invert(pc.is_in(before["product_id"], value_set=after["product_id"]))
    return GalleryChanges(
        from_version=ref.version,
        to_version=to_version,
        embed=_ids(after.filter(is_new), kept.filter(has_new_picture)),
        details=_ids(kept.filter(has_new_details)),
        remove=_ids(before.filter(is_gone)),
    )


def _lacking(splits: Sequence[str]) -> list[str]:
    """Return the splits that are searched and that a gallery of these does not hold."""
    return [split for split in GALLERY_SPLITS if split not in splits]


def _shown(rows: pa.Table, splits: Sequence[str]) -> pa.Table:
    """Return the rows that a gallery of these splits shows."""
    in_splits = pc.is_in(rows["split"], pa.array(list(splits), pa.string()))
    return rows.filter(pc.and_(in_splits, pc.is_null(rows["withdrawn_at"]))).combine_chunks()


def _any_differs(rows: pa.Table, others: pa.Table) -> pa.ChunkedArray:
    """Tell in which rows a detail or a further picture differs; two nulls are the same."""
    found = pa.chunked_array([pa.repeat(False, len(rows))])
    for name in (FURTHER_HASH, *DETAIL_COLUMNS):
        known = pc.fill_null(pc.not_equal(rows[name], others[name]), fill_value=False)
        found = pc.or_(found, pc.or_(known, pc.xor(pc.is_null(rows[name]), pc.is_null(others[name]))))
    return found


def _ids(*parts: pa.Table) -> tuple[str, ...]:
    return tuple(sorted(name for part in parts for name in part["product_id"].to_pylist()))
