"""Galleries of made-up vectors, in memory and as the files of a bundle, without any network or picture."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef, Manifest
from backend.catalogue.items import GALLERY_SPLITS
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.gallery.gallery_rows import SCHEMA, write_sorted
from backend.retrieval.indexes.index_files import described, put_in_place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SPEC = PixelSpec(16, 16, 1, "any")


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (N, D) of length 1."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered(count: int, dimensions: int, *, seed: int, clusters: int = 300) -> np.ndarray:
    """Make unit vectors (N, D) around some centres, as those of products are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((clusters, dimensions))
    return unit(centres[rng.integers(0, clusters, count)] + 0.7 * rng.standard_normal((count, dimensions)))


def rows_of(ids: Sequence[str], columns: Mapping[str, Sequence[Any]] | None = None) -> pa.Table:
    """Return rows of a gallery, ordered by id as they have to be; what is not given is empty."""
    given = {"product_id": list(ids), "label": ["thing"] * len(ids), "split": ["train"] * len(ids)}
    given |= {"thumbnail": [b"none"] * len(ids), **(columns or {})}
    arrays = [
        pa.array(given[field.name], field.type) if field.name in given else pa.nulls(len(ids), field.type)
        for field in SCHEMA
    ]
    return pa.table(arrays, schema=SCHEMA)


class InMemory:
    """A gallery's file that is none."""

    group_sizes = ()

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows

    def read(self, names: Sequence[str]) -> pa.Table:
        return self._rows.select(list(names))


def gallery_of(ids: Sequence[str], columns: Mapping[str, Sequence[Any]] | None = None) -> Gallery:
    """Return a gallery in memory."""
    return Gallery(InMemory(rows_of(ids, columns)))


def manifest_of(name: str, dimensions: int) -> Manifest:
    """Return the manifest of a bundle whose network nobody needs."""
    return Manifest(
        name=name,
        created_at=datetime(2026, 11, 28, tzinfo=UTC).isoformat(),
        config={"preset": "made"},
        pixels=SPEC,
        embedding_size=dimensions,
        catalogue=CatalogueRef("shop", 4),
        classes=("thing",),
        seed=7,
        git_commit="0" * 40,
        libraries={"numpy": np.__version__},
        weights_hash="made",
    )


def write_made_bundle(
    folder: Path,
    ids: Sequence[str],
    vectors: np.ndarray,
    columns: Mapping[str, Sequence[Any]] | None = None,
    *,
    generation: int = 1,
) -> Path:
    """Write a bundle with an index of these vectors, or the next generation of it, as a build does."""
    if not folder.exists():
        folder.mkdir(parents=True)
        bundle.write_manifest(folder, manifest_of(folder.name, vectors.shape[1]))
    ref = CatalogueRef("shop", 3 + generation)
    with bundle.workplace(folder, "index") as place:
        spill = place / "spill.arrow"
        with pa.OSFile(str(spill), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            writer.write_table(rows_of(ids, columns))
        write_sorted(spill, [(0, row) for row in range(len(ids))], place / bundle.GALLERY)
        np.save(place / bundle.VECTORS, vectors)
        info = described(place, "exact", GALLERY_SPLITS, ref, generation=generation)
        put_in_place(folder, place, info, progress=NullProgress())
    return folder
