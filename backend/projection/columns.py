"""What points of a map can be coloured by: one value a product, named, from gallery, catalogue, model and graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from backend.catalogue.fields import FACETS, PRODUCT_FIELDS
from backend.catalogue.items import SPLITS
from backend.catalogue.quality.view import open_quality
from backend.errors import CatalogueError
from backend.retrieval.gallery.gallery_file import GalleryFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.bundles.bundle import Manifest
    from backend.catalogue.snapshot import Snapshot

Kind = Literal["texts", "numbers"]
TITLES = {
    "label": "Label",
    **{one.name: one.title for one in PRODUCT_FIELDS},
    "split": "Split",
    "seen": "Seen in training",
    "nearest": "Nearest product",
    "centre": "Distance to the centre of its label",
    "quality": "Quality of the picture",
}
NONE = "None"  # what a product without a value is shown as
_STORED = ("product_id", "label", "title", *FACETS, "price")
_FLAG_TITLES = {"low_information": "Almost nothing visible", "odd_aspect": "Unusual shape", "odd_size": "Unusual size"}


@dataclass(frozen=True, slots=True)
class Column:
    """One value a product: texts by code, or numbers.

    Attributes:
        names: The texts, by code; empty for numbers.
        codes: Code of each of N products; int32 (N,); empty for numbers.
        numbers: float32 (N,), NaN where nothing is known; empty for texts.
    """

    title: str
    kind: Kind
    names: tuple[str, ...] = ()
    codes: NDArray[np.int32] | None = None
    numbers: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Points:
    """What is known of the N products of a gallery, in its order.

    Attributes:
        ids, labels, titles: Texts, empty where there is none; object (N,): an array of fixed width would pad every
            text to the longest.
        splits: By number in ``SPLITS``; uint8 (N,).
        columns: What they can be coloured by, by name.
    """

    ids: NDArray[np.object_]
    labels: NDArray[np.object_]
    titles: NDArray[np.object_]
    splits: NDArray[np.uint8]
    columns: dict[str, Column]


def points_of(
    folder: Path,
    manifest: Manifest,
    vectors: NDArray[np.float32],
    nearest: NDArray[np.int32] | None,
    snapshot: Snapshot,
) -> Points:
    """Collect what is known of a gallery's products.

    Args:
        folder: The bundle.
        manifest: What it says of itself.
        vectors: Its embeddings, float32 (N, D).
        nearest: The nearest other product of each, by position; (N,); None where that is not known.
        snapshot: The catalogue version that was indexed.

    Raises:
        BundleError: The gallery cannot be read.
    """
    rows = GalleryFile(folder).read(_STORED)
    texts = {name: _texts(rows[name].to_pylist()) for name in _STORED if name != "price"}
    labels = texts["label"]
    columns = {name: _coded(TITLES[name], texts[name]) for name in ("label", *FACETS)}
    prices = rows["price"].cast(pa.float32()).to_numpy()
    columns["price"] = Column(TITLES["price"], "numbers", numbers=np.asarray(prices, dtype=np.float32))
    splits = _splits(texts["product_id"], snapshot)
    columns["split"] = Column(TITLES["split"], "texts", SPLITS, splits.astype(np.int32))
    seen = set(manifest.classes)
    columns["seen"] = _coded(TITLES["seen"], ["Seen" if label in seen else "New to the model" for label in labels])
    if nearest is not None:
        columns["nearest"] = _coded(TITLES["nearest"], _agreement(labels, labels[nearest]))
    columns["centre"] = Column(TITLES["centre"], "numbers", numbers=centre_distances(vectors, labels))
    columns["quality"] = _coded(TITLES["quality"], _quality(texts["product_id"], snapshot))
    used = {name: column for name, column in columns.items() if not _says_nothing(column)}
    return Points(texts["product_id"], labels, texts["title"], splits, used)


def centre_distances(vectors: NDArray[np.float32], labels: NDArray[np.object_]) -> NDArray[np.float32]:
    """Return the cosine distance of every product to the centre of its label; NaN without a label; (N,)."""
    found = np.full(len(labels), np.nan, dtype=np.float32)
    for rows in rows_by_label(labels).values():
        centre = vectors[rows].mean(axis=0)
        length = float(np.linalg.norm(centre))
        if length > 0:
            found[rows] = (1.0 - vectors[rows] @ (centre / length)).clip(0.0, 2.0)
    return found


def _texts(values: Sequence[str | None]) -> NDArray[np.object_]:
    return np.asarray([value or "" for value in values], dtype=np.object_)


def coded(values: Sequence[str] | NDArray[np.object_]) -> tuple[list[str], NDArray[np.int32]]:
    """Return the distinct texts, the most frequent first and no text last, and the code of each value; int32 (N,)."""
    found = pa.array(values, pa.string()).dictionary_encode()
    counts = np.bincount(np.asarray(found.indices), minlength=len(found.dictionary))
    names = found.dictionary.to_pylist()
    order = sorted(range(len(names)), key=lambda code: (names[code] == "", -counts[code], names[code]))
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return [names[code] for code in order], place[np.asarray(found.indices)]


def rows_by_label(labels: NDArray[np.object_]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of every label, in alphabetical order; rows without one belong to none."""
    names, codes = coded(labels)
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(codes, minlength=len(names)))[:-1])
    return {name: rows for name, rows in sorted(zip(names, parts[: len(names)], strict=True)) if name}


def _coded(title: str, values: Sequence[str] | NDArray[np.object_]) -> Column:
    names, codes = coded(values)
    return Column(title, "texts", tuple(name or NONE for name in names), codes)


def _says_nothing(column: Column) -> bool:
    if column.kind == "numbers":
        return column.numbers is None or bool(np.isnan(column.numbers).all())
    return column.names in {(NONE,), ("Not measured",)}


def _splits(ids: NDArray[np.object_], snapshot: Snapshot) -> NDArray[np.uint8]:
    """Return the split of every product; one that the catalogue does not have any more counts as gallery-only."""
    rows = snapshot.columns(["product_id", "split"])
    numbers = {name: number for number, name in enumerate(SPLITS)}
    split_of = dict(zip(rows["product_id"].to_pylist(), rows["split"].to_pylist(), strict=True))
    return np.asarray([numbers[split_of.get(name, "gallery-only")] for name in ids.tolist()], dtype=np.uint8)


def _agreement(labels: NDArray[np.object_], nearest: NDArray[np.object_]) -> NDArray[np.object_]:
    same = np.where(labels == nearest, "Of the same label", "Of another label")
    found: NDArray[np.object_] = np.where((labels == "") | (nearest == ""), "", same)
    return found


def _quality(ids: NDArray[np.object_], snapshot: Snapshot) -> NDArray[np.object_]:
    """Return the first flag of every product's picture, as far as it was measured."""
    try:
        table = open_quality(snapshot, snapshot.catalogues_dir / snapshot.name)
    except CatalogueError:
        return np.full(len(ids), "Not measured", dtype=np.object_)
    titles = np.where(table.is_measured, "Fine", "Not measured").astype(np.object_)
    for flag, has in reversed(table.flags().items()):
        titles[has] = _FLAG_TITLES.get(flag, flag.capitalize())
    known = table.product_ids
    if not len(known):
        return np.full(len(ids), "Not measured", dtype=np.object_)
    places = np.searchsorted(known, ids).clip(max=len(known) - 1)
    found: NDArray[np.object_] = np.where(known[places] == ids, titles[places], "Not measured")
    return found
