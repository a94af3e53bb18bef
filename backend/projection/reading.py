"""A map opened beside the model that it is of: what commands and the Explore page ask of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.bundles import bundle
from backend.errors import ProjectionError
from backend.projection.arrange import Arranged, arrange_gallery
from backend.projection.maps import GalleryMap, MapInfo, list_maps, load_map
from backend.projection.place import place
from backend.projection.worth import map_neighbours
from backend.retrieval.gallery.gallery import load_vectors
from backend.retrieval.gallery.gallery_file import GalleryFile
from backend.retrieval.indexes.exact import ExactIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.bundles.bundle import Manifest
    from backend.retrieval.indexes.neighbour_graph import NeighbourGraph

_DRAW = "Draw one: `python -m backend project`."


@dataclass(frozen=True, slots=True)
class Reading:
    """A model's gallery and a map of it.

    Attributes:
        manifest: The model's.
        ids, labels: Of the N gallery products; (N,).
        vectors: Their embeddings, memory-mapped; float32 (N, D).
        map: None where none is drawn and none is needed.
    """

    manifest: Manifest
    ids: NDArray[np.object_]
    labels: NDArray[np.object_]
    vectors: NDArray[np.float32]
    map: GalleryMap | None

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.manifest.name

    @property
    def catalogue(self) -> tuple[str, int]:
        """Name and version of the catalogue that was indexed."""
        ref = self.manifest.searched
        return ref.name, ref.version

    @property
    def drawn(self) -> GalleryMap:
        """The map; ProjectionError where none is drawn."""
        if self.map is None:
            raise ProjectionError(f"There is no map of {self.model} yet.", next_step=_DRAW)
        return self.map

    @property
    def map_key(self) -> str:
        """Name of the map."""
        return self.drawn.info.key

    @property
    def k(self) -> int:
        """Neighbours that place a product."""
        return self.drawn.info.options.neighbours

    @property
    def graph(self) -> NeighbourGraph:
        """The neighbours of every gallery product.

        Raises:
            ProjectionError: The map is of an earlier index.
        """
        if not self.drawn.info.is_of(self.manifest):
            raise ProjectionError(
                "The index was rebuilt after the map was drawn, so the map's neighbours are out of date.",
                next_step="Draw the map again.",
            )
        return self.drawn.graph

    def position_of(self, product_id: str) -> int:
        """Return where a product is in the gallery; ProjectionError where it is not there."""
        at = int(np.searchsorted(self.ids, product_id))
        if at == len(self.ids) or self.ids[at] != product_id:
            raise ProjectionError(
                f"The gallery of {self.model} has no product {product_id[:60]}.",
                next_step="Choose a searchable product; products of the test split are not in the gallery.",
            )
        return at

    def label_of(self, product_id: str) -> str:
        """Return a product's label; ProjectionError where it is not in the gallery."""
        return str(self.labels[self.position_of(product_id)])

    def arranged(self, dimensions: int) -> Arranged:
        """Return where every gallery product is; new ones are placed."""
        return arrange_gallery(self.drawn, dimensions, self.ids, self.vectors)

    def neighbours_of(self, product_id: str, k: int, dimensions: int = 2) -> tuple[list[tuple[int, float]], list[int]]:
        """Return a product's k nearest in the full space, with similarities, and its k nearest on the map."""
        at = self.position_of(product_id)
        near = self.near(self.vectors[at], k, but=at)
        found = map_neighbours(self.arranged(dimensions).positions, np.asarray([at]), k)
        return near, [int(position) for position in found[0]]

    def near(self, vector: NDArray[np.float32], k: int, *, but: int | None = None) -> list[tuple[int, float]]:
        """Return the k nearest products of a vector of any length, with similarities, but for one."""
        length = float(np.linalg.norm(vector))
        if not length > 0:
            raise ProjectionError(
                "The chosen products point in opposite directions, so they have no mean.", next_step="Choose fewer."
            )
        allowed = None
        if but is not None:
            allowed = np.ones(len(self.ids), dtype=np.bool_)
            allowed[but] = False
        found = ExactIndex(self.vectors).search((vector / length)[None].astype(np.float32), k=k, allowed=allowed)
        pairs = zip(found.positions[0], found.distances[0], strict=True)
        return [(int(position), 1.0 - float(distance)) for position, distance in pairs]

    def place(self, pairs: Sequence[tuple[str, float]], dimensions: int, *, answered_by: str) -> list[float]:
        """Return where a photo lands on the map, from its nearest products and their distances.

        Args:
            pairs: Product ids and cosine distances, nearest first.
            dimensions: 2 or 3.
            answered_by: Name of the model that found them.

        Raises:
            ProjectionError: Another model found them, or the map shows none of them.
        """
        if answered_by != self.model:
            raise ProjectionError(
                f"The endpoint serves {answered_by}, but this is a map of {self.model}.",
                next_step=f"Deploy {self.model}, or choose {answered_by} here.",
            )
        found = self.drawn
        known = {str(name): at for at, name in enumerate(found.ids)} if len(pairs) else {}
        usable = [(known[name], distance) for name, distance in pairs if name in known]
        near = np.asarray([at for at, _ in usable], dtype=np.int64)
        distances = np.asarray([distance for _, distance in usable], dtype=np.float32)
        placed = place(
            near,
            distances,
            found.positions[dimensions],
            curve=found.info.curve,
            neighbours=found.info.options.neighbours,
        )
        return [float(value) for value in placed]


def choose_map(maps: Sequence[MapInfo], manifest: Manifest, key: str = "") -> MapInfo | None:
    """Choose a map of a model's network: the one asked for, else the newest of its present index, else the newest."""
    usable = [info for info in maps if info.weights_hash == manifest.weights_hash]
    asked = [info for info in usable if info.key == key]
    present = [info for info in usable if info.is_of(manifest)]
    return next(iter([*asked, *present, *usable]), None)


def open_reading(folder: Path, maps: Path, *, key: str = "", needs_map: bool = True) -> Reading:
    """Open a model and its map.

    Raises:
        BundleError: The model is gone or damaged.
        RetrievalError: It has no index.
        ProjectionError: It has no map, where one is needed.
    """
    manifest = bundle.read_manifest(folder)
    vectors = load_vectors(folder)
    rows = GalleryFile(folder).read(["product_id", "label"])
    ids, labels = (np.asarray(rows[name].to_pylist(), dtype=np.object_) for name in ("product_id", "label"))
    info = choose_map(list_maps(maps), manifest, key)
    if info is None and needs_map:
        raise ProjectionError(f"There is no map of {folder.name} yet.", next_step=_DRAW)
    return Reading(manifest, ids, labels, vectors, load_map(maps, info.key) if info else None)
