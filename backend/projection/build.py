"""Use case: a model's index in, a map of it out, or the same map from before."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from backend.bundles import bundle
from backend.errors import BundleError, ProjectionError
from backend.progress import Span
from backend.projection.maps import GalleryMap, MapInfo, ask_again, graph_known, key_of, list_maps, save_map
from backend.projection.options import USUAL_NEIGHBOURS
from backend.projection.worth import worth_of
from backend.retrieval.gallery.gallery import Gallery, load_vectors
from backend.retrieval.indexes.neighbour_graph import build_graph

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.bundles.bundle import Manifest
    from backend.progress import Progress
    from backend.projection.engines import Drawing
    from backend.projection.options import ProjectionOptions
    from backend.projection.worth import Worth
    from backend.retrieval.indexes.neighbour_graph import NeighbourGraph


@dataclass(frozen=True, slots=True)
class Built:
    """A map, and whether it was there already."""

    map: GalleryMap
    was_there: bool


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is drawn: a model's gallery with its embeddings and neighbours."""

    manifest: Manifest
    ids: NDArray[np.object_]
    labels: NDArray[np.object_]
    vectors: NDArray[np.float32]
    graph: NeighbourGraph


def build_map(folder: Path, maps: Path, options: ProjectionOptions, *, threads: int = 0, progress: Progress) -> Built:
    """Draw the map of a bundle's gallery, unless the very same is there already.

    Args:
        folder: The bundle.
        maps: Folder of the model's maps.
        options: How to draw; a gallery of fewer products has all of them as neighbours.
        threads: Cores to use; 0 means all.
        progress: Hears how far it is, and may cancel; cancelled or failed, no map is left behind.

    Raises:
        ProjectionError: There is no index, too few products, or nothing to draw.
        RetrievalError: The index cannot be read.
        BundleError: The model was changed or deleted meanwhile.
        Cancelled: The user asked to stop.
    """
    from backend.projection.reduce import reduce

    options.check()
    manifest = bundle.read_manifest(folder)
    if manifest.index is not None:
        options = options.fitted(manifest.index.size)
    key = key_of(manifest, options)
    if any(info.key == key for info in list_maps(maps)):
        return Built(ask_again(maps, key), was_there=True)
    started = time.monotonic()
    gallery = Gallery.load(folder)
    vectors = np.array(load_vectors(folder))
    _check_vectors(vectors)
    finding, drawing, measuring = Span.split(progress, [("", 30), ("", 55), ("", 15)])
    graph = _graph(manifest, maps, vectors, options, threads, finding)
    subject = _Subject(manifest, np.asarray(gallery.ids, dtype=np.object_), gallery.labels, vectors, graph)
    drawn = reduce(vectors, subject.labels, graph, options, threads=threads, progress=drawing)
    worth = _worth(subject, drawn.positions, measuring)
    _check_still_there(folder, key, options)
    found = _as_map(subject, drawn, worth, options, seconds=round(time.monotonic() - started, 2))
    save_map(maps, found)
    return Built(found, was_there=False)


def _check_vectors(vectors: NDArray[np.float32]) -> None:
    if not np.isfinite(vectors).all():
        raise ProjectionError(
            "The index contains embeddings that are not finite.",
            next_step="Retrain the model with a lower learning rate and rebuild its index.",
        )


def _graph(
    manifest: Manifest,
    maps: Path,
    vectors: NDArray[np.float32],
    options: ProjectionOptions,
    threads: int,
    progress: Progress,
) -> NeighbourGraph:
    """Return the neighbour graph, from another map of the same index where there is one."""
    k = min(max(options.neighbours - 1, USUAL_NEIGHBOURS), len(vectors) - 1)
    known = graph_known(maps, manifest.files[bundle.VECTORS], k)
    if known is not None:
        return known
    return build_graph(vectors, k, threads=threads, progress=progress)


def _worth(subject: _Subject, positions: dict[int, NDArray[np.float32]], progress: Progress) -> dict[str, Worth]:
    halves = Span.split(progress, [(f"{size}-D", 1.0) for size in positions])
    return {
        str(size): worth_of(subject.vectors, found, subject.labels, subject.graph.positions, progress=half)
        for (size, found), half in zip(positions.items(), halves, strict=True)
    }


def _as_map(
    subject: _Subject,
    drawn: Drawing,
    worth: dict[str, Worth],
    options: ProjectionOptions,
    *,
    seconds: float,
) -> GalleryMap:
    manifest = subject.manifest
    assert manifest.index is not None  # noqa: S101 - it has a key
    info = MapInfo(
        key=key_of(manifest, options),
        model=manifest.name,
        weights_hash=manifest.weights_hash,
        index_hash=manifest.files[bundle.VECTORS],
        catalogue=manifest.index.catalogue,
        options=options,
        size=len(subject.ids),
        curve=drawn.curve,
        graph_k=subject.graph.k,
        worth=worth,
        created_at=datetime.now(UTC).isoformat(),
        seconds=seconds,
    )
    return GalleryMap(info, subject.ids, drawn.positions, subject.graph)


def _check_still_there(folder: Path, key: str, options: ProjectionOptions) -> None:
    """A model may have been deleted, or indexed again, while its map was drawn."""
    again = "Draw the map again."
    try:
        now = bundle.read_manifest(folder)
    except (BundleError, OSError) as error:
        raise BundleError(f"{folder.name} was deleted in the meantime.", next_step="Choose another model.") from error
    if key_of(now, options) != key:
        raise BundleError(f"{folder.name} was re-indexed in the meantime.", next_step=again)
