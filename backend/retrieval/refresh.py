"""Bring an index up to date with its catalogue, without training again and without embedding what stayed as it was.

What changed since the index's version is read from the Change Data Feed: new and changed pictures are embedded,
changed details are replaced, and what is gone is left out. The result is what a build at the newer version would be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.bundles import bundle
from backend.bundles.renewal import renew
from backend.catalogue.items import GALLERY_SPLITS
from backend.errors import RetrievalError
from backend.files.storage import disk_watched
from backend.imaging.spec import CONTRACT
from backend.retrieval.freshness import gallery_changes
from backend.retrieval.gallery.embedding import batches_of, embed_batches
from backend.retrieval.gallery.further_pictures import embedded_here, write_further
from backend.retrieval.gallery.gallery_rows import SCHEMA, merged_rows
from backend.retrieval.indexes.index_files import described, put_in_place
from backend.retrieval.indexes.kinds import load_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.bundles.bundle import IndexInfo, Manifest
    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder
    from backend.retrieval.freshness import GalleryChanges

_REBUILD = "Build the index again: `python -m backend index --newest`."
_COPIED_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did.

    Attributes:
        index: What the index holds now.
        from_version: Version of the catalogue that it stood at before.
        embedded: Products that were new or had another picture.
        details: Products of which only details were replaced.
        removed: Products that were taken out.
    """

    index: IndexInfo
    from_version: int
    embedded: int
    details: int
    removed: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "catalogue": self.index.catalogue.name,
            "from_version": self.from_version,
            "version": self.index.catalogue.version,
            "generation": self.index.generation,
            "gallery_size": self.index.size,
            "embedded": self.embedded,
            "details": self.details,
            "removed": self.removed,
        }


def refresh_gallery(
    snapshot: Snapshot, network: Callable[[], Embedder], folder: Path, *, progress: Progress
) -> Refreshed:
    """Bring the index of a bundle to the version of a snapshot; the bundle changes at the very end, in one step.

    Splits that an earlier version of Twinset left out are taken in, and where it turned pictures into other pixels than they
    are turned into now, all are embedded again: vectors of both cannot be compared.

    Args:
        snapshot: The index's catalogue, at the version to reach.
        network: Gives the bundle's network; asked only where there is a picture to embed.
        folder: The bundle.
        progress: Told the pictures done, asked whether to stop.

    Raises:
        BundleError: The folder is no bundle, or a damaged one.
        RetrievalError: It has no index yet, that is of another catalogue or of a newer version, or none is left.
        CatalogueNotFound: The version that the index was made from cannot be read any more.
        StorageFull, Cancelled: As :func:`backend.retrieval.gallery.gallery.build_gallery`.
    """
    info = _refreshable(bundle.verify(folder), snapshot)
    is_outdated = info.pixel_contract != CONTRACT
    held = () if is_outdated else info.splits
    changes = gallery_changes(snapshot.catalogues_dir, info.catalogue, snapshot.version, splits=held)
    if is_outdated:
        changes = replace(changes, remove=tuple({*_ids_in(folder).to_pylist()} - {*changes.embed}))
    if not changes.total:
        return Refreshed(_note_version(folder, info, snapshot), info.catalogue.version, 0, 0, 0)
    with disk_watched("build the index again"), bundle.workplace(folder, "index") as place:
        fresh = _fresh_rows(snapshot, network, changes, folder, progress)
        removed = _merge(folder, place, fresh, changes, progress)
        if not pq.read_metadata(place / bundle.GALLERY).num_rows:
            raise RetrievalError("No product would be left in the gallery.", next_step="Check the Catalogue page.")
        known = None if is_outdated else folder
        write_further(snapshot, place, embedded_here(snapshot, network, place, progress), before=known)
        complete = described(place, info.kind, GALLERY_SPLITS, snapshot.ref, generation=info.generation + 1)
        put_in_place(folder, place, complete, moved=len(fresh.vectors) + removed, progress=progress)
    embedded = len(fresh.vectors)
    return Refreshed(complete, info.catalogue.version, embedded, fresh.rows.num_rows - embedded, removed)


def _ids_in(folder: Path) -> pa.Array:
    """Return the product ids of a gallery, ascending."""
    return pq.read_table(folder / bundle.GALLERY, columns=["product_id"])["product_id"].combine_chunks()


def _refreshable(manifest: Manifest, snapshot: Snapshot) -> IndexInfo:
    info = manifest.index
    if info is None:
        raise RetrievalError(f"{manifest.name} has no index yet.", next_step="Build it: `python -m backend index`.")
    if info.catalogue.name != snapshot.name or info.catalogue.version > snapshot.version:
        raise RetrievalError(
            f"The index of {manifest.name} was built from {info.catalogue.name} version {info.catalogue.version} and "
            f"cannot be updated to {snapshot.name} version {snapshot.version}.",
            next_step=_REBUILD,
        )
    return info


def _note_version(folder: Path, info: IndexInfo, snapshot: Snapshot) -> IndexInfo:
    """Say of an index that is as it should be that it is so at a newer version."""
    current = replace(info, catalogue=snapshot.ref, splits=GALLERY_SPLITS)
    if info == current:
        return info
    renew(folder, {}, lambda manifest: replace(manifest, index=current))
    return current


# ---------------------------------------------------------------------------------------------- what is new


@dataclass(frozen=True, slots=True)
class _Fresh:
    """Rows of the gallery that are to be put in, ordered by product id.

    Attributes:
        rows: Columns of ``SCHEMA``.
        vectors: Embeddings of those that were embedded, (E, D), in their order.
        is_embedded: Which rows those are; the others keep the vector that they have, bool (F,).
    """

    rows: pa.Table
    vectors: NDArray[np.float32]
    is_embedded: NDArray[np.bool_]


def _fresh_rows(
    snapshot: Snapshot, network: Callable[[], Embedder], changes: GalleryChanges, folder: Path, progress: Progress
) -> _Fresh:
    """Embed what has another picture, and give what has other details its old thumbnail."""
    held = _ids_in(folder)
    is_held = np.asarray(pc.is_in(pa.array(changes.details, pa.string()), value_set=held), dtype=np.bool_)
    known = [name for name, here in zip(changes.details, is_held, strict=True) if here]
    # What could not be read when the index was built is tried again, as a build would.
    wanted = [*changes.embed, *(name for name, here in zip(changes.details, is_held, strict=True) if not here)]
    embedded, vectors = _embedded(snapshot, network, wanted, progress)
    rows = pa.concat_tables([embedded, _with_thumbnails(snapshot, known, folder)])
    order = np.asarray(pc.sort_indices(rows["product_id"]), dtype=np.int64)
    is_embedded = order < len(embedded)
    return _Fresh(rows.take(pa.array(order)).combine_chunks(), vectors[order[is_embedded]], is_embedded)


def _embedded(
    snapshot: Snapshot, network: Callable[[], Embedder], ids: Sequence[str], progress: Progress
) -> tuple[pa.Table, NDArray[np.float32]]:
    """Return rows and embeddings of those of some products whose pictures can be read."""
    kept: list[pa.RecordBatch] = []
    if not ids:
        return SCHEMA.empty_table(), np.empty((0, 0), dtype=np.float32)
    embedder = network()
    batches = batches_of(snapshot, ids)
    found = embed_batches(batches, embedder, SCHEMA, total=len(ids), progress=progress, keep=kept.append)
    vectors = np.concatenate([np.empty((0, embedder.size), dtype=np.float32), *found.vectors])
    return pa.Table.from_batches(kept, SCHEMA), vectors


def _with_thumbnails(snapshot: Snapshot, ids: Sequence[str], folder: Path) -> pa.Table:
    """Return the newest details of some products beside the thumbnails that the gallery has of them."""
    if not ids:
        return SCHEMA.empty_table()
    wanted = pa.array(sorted(ids), pa.string())
    columns = [name for name in SCHEMA.names if name != "thumbnail"]
    details = snapshot.columns(columns)
    details = details.filter(pc.is_in(details["product_id"], value_set=wanted))
    shown = pq.read_table(
        folder / bundle.GALLERY, columns=["product_id", "thumbnail"], filters=[("product_id", "in", ids)]
    )
    pictures = shown["thumbnail"].take(pc.index_in(details["product_id"], value_set=shown["product_id"]))
    return details.append_column("thumbnail", pictures).select(SCHEMA.names).cast(SCHEMA)


# ---------------------------------------------------------------------------------------------- old and new together


def _merge(folder: Path, place: Path, fresh: _Fresh, changes: GalleryChanges, progress: Progress) -> int:
    """Write gallery and vectors of the new index into ``place``; returns how many items were taken out."""
    held = _ids_in(folder)
    ids = fresh.rows["product_id"].combine_chunks()
    # A changed picture that cannot be read takes its product out, as a build would.
    outdated = pa.concat_arrays([ids, pa.array([*changes.embed, *changes.remove], pa.string())])
    stays = ~np.asarray(pc.is_in(held, value_set=outdated), dtype=np.bool_)
    merged_rows(folder / bundle.GALLERY, stays, fresh.rows, place / bundle.GALLERY)
    progress.check_cancelled()
    old, kept = load_vectors(folder), np.flatnonzero(stays)
    sources = np.concatenate([kept, _places(held, ids, fresh.is_embedded, len(old))])
    order = np.asarray(pc.sort_indices(pa.concat_arrays([held.take(pa.array(kept)), ids])), dtype=np.int64)
    _write_vectors(place / bundle.VECTORS, old, fresh.vectors, sources[order])
    gone = pc.invert(pc.is_in(held.filter(pa.array(~stays)), value_set=ids))
    return int(pc.sum(gone).as_py() or 0)


def _places(held: pa.Array, ids: pa.Array, is_embedded: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
    """Return where the vector of each fresh row is: in the old matrix, or behind it among the new ones."""
    places = np.asarray(pc.fill_null(pc.index_in(ids, value_set=held), -1), dtype=np.int64)
    places[is_embedded] = size + np.arange(np.count_nonzero(is_embedded))
    return places


def _write_vectors(path: Path, old: NDArray[np.float32], new: NDArray[np.float32], sources: NDArray[np.int64]) -> None:
    """Write rows of two matrices, counted one behind the other, in the order of ``sources``; memory stays small."""
    shape = (len(sources), old.shape[1])
    target: Any = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)  # type: ignore[no-untyped-call]
    for start in range(0, len(sources), _COPIED_ROWS):
        part = sources[start : start + _COPIED_ROWS]
        is_old = part < len(old)
        rows = target[start : start + len(part)]
        rows[is_old] = old[part[is_old]]
        if not is_old.all():
            rows[~is_old] = new[part[~is_old] - len(old)]
    target.flush()
