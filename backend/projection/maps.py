"""Maps on disk: one folder each below ``maps/MODEL`` of the home, named by all that the map depends on.

    map.json   how it was drawn, of which model, index and catalogue version, and what it is worth
    map.npz    product ids, positions in two and three dimensions, and the neighbour graph; no pickle

They are beside the bundles, not in them: a bundle is hashed as a whole, and a map can be drawn again.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef
from backend.bundles.renewal import exchange
from backend.errors import ProjectionError
from backend.files.storage import write_atomically
from backend.projection.options import ProjectionOptions
from backend.projection.worth import Worth
from backend.retrieval.indexes.neighbour_graph import NeighbourGraph

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.bundles.bundle import Manifest

FORMAT_VERSION = 1
INFO, ARRAYS = "map.json", "map.npz"
KEPT = 6  # maps of a model; older ones make room
_NEXT = "Draw it again: `python -m backend project`."


@dataclass(frozen=True, slots=True)
class MapInfo:
    """What is known of a map without opening it.

    Attributes:
        key: Name of its folder.
        index_hash: SHA-256 of the embeddings that it shows.
        curve: a and b of the attraction.
        graph_k: Neighbours in the graph that is beside it.
        worth: By dimension, ``2`` and ``3``.
        asked_at: ISO time of when it was asked for again, once it had been drawn; empty where it was not.
    """

    key: str
    model: str
    weights_hash: str
    index_hash: str
    catalogue: CatalogueRef
    options: ProjectionOptions
    size: int
    curve: tuple[float, float]
    graph_k: int
    worth: dict[str, Worth]
    created_at: str
    seconds: float
    format_version: int = FORMAT_VERSION
    asked_at: str = ""

    def to_json(self) -> str:
        """Return it as indented JSON."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> MapInfo:
        """Read it back; raises ValueError, TypeError or KeyError where the text is something else."""
        raw: dict[str, Any] = json.loads(text)
        if raw["format_version"] != FORMAT_VERSION:
            raise ValueError(text)
        return cls(
            **{
                **raw,
                "catalogue": CatalogueRef(**raw["catalogue"]),
                "options": ProjectionOptions(**raw["options"]),
                "curve": (float(raw["curve"][0]), float(raw["curve"][1])),
                # A map of earlier versions has figures for small galleries, too, which mean nothing.
                "worth": {name: Worth(**found).within(raw["size"]) for name, found in raw["worth"].items()},
            }
        )

    def is_of(self, manifest: Manifest) -> bool:
        """Whether it shows the present index of a model; otherwise products have come or gone since."""
        return self.index_hash == manifest.files.get(bundle.VECTORS)


@dataclass(frozen=True, slots=True)
class GalleryMap:
    """A map: N products, where they stand, and their neighbours.

    Attributes:
        ids: Product ids, ascending; (N,).
        positions: By dimension; float32 (N, 2) and (N, 3).
        graph: The model's own neighbours.
    """

    info: MapInfo
    ids: NDArray[np.object_]
    positions: dict[int, NDArray[np.float32]]
    graph: NeighbourGraph


def key_of(manifest: Manifest, options: ProjectionOptions) -> str:
    """Return the name of a map: a hash of the network, the indexed catalogue version, its embeddings, and the options.

    Raises:
        ProjectionError: The model has no index.
    """
    if manifest.index is None or bundle.VECTORS not in manifest.files:
        raise ProjectionError(
            f"{manifest.name} has no index yet; a map needs one.",
            next_step="Build it: `python -m backend index`.",
        )
    parts = {
        "format": FORMAT_VERSION,
        "weights": manifest.weights_hash,
        "catalogue": asdict(manifest.index.catalogue),
        "index": manifest.files[bundle.VECTORS],
        "options": options.named(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def list_maps(folder: Path) -> list[MapInfo]:
    """Return the maps in a model's folder, the one asked for last first; one that cannot be read is passed over."""
    found = []
    for path in sorted(folder.glob(f"*/{INFO}")) if folder.is_dir() else []:
        try:
            info = MapInfo.from_json(path.read_text(encoding="utf-8"))
        except (ValueError, TypeError, KeyError, OSError):
            continue  # of an older version, or being removed
        if info.key == path.parent.name and (path.parent / ARRAYS).is_file():
            found.append(info)
    return sorted(found, key=lambda info: info.asked_at or info.created_at, reverse=True)


def load_map(folder: Path, key: str) -> GalleryMap:
    """Read a map of a model.

    Raises:
        ProjectionError: There is none of that key, or it is damaged.
    """
    path = folder / key
    if path.parent != folder or not (path / INFO).is_file():
        raise ProjectionError(f"There is no such map of {folder.name}.", next_step=_NEXT)
    try:
        info = MapInfo.from_json((path / INFO).read_text(encoding="utf-8"))
        with np.load(path / ARRAYS, allow_pickle=False) as arrays:
            found = GalleryMap(
                info,
                arrays["ids"].astype(np.object_),
                {size: arrays[f"positions_{size}"] for size in (2, 3)},
                NeighbourGraph(arrays["neighbours"], arrays["distances"]),
            )
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ProjectionError(f"The map {key} of {folder.name} cannot be read.", next_step=_NEXT) from error
    if not len(found.ids) == info.size == found.graph.size == len(found.positions[2]) == len(found.positions[3]):
        raise ProjectionError(f"The files of map {key} of {folder.name} do not belong together.", next_step=_NEXT)
    return found


def ask_again(folder: Path, key: str) -> GalleryMap:
    """Read a map that was drawn before, and make it the first of the model's maps; errors are those of ``load_map``."""
    found = load_map(folder, key)
    info = replace(found.info, asked_at=datetime.now(UTC).isoformat())
    write_atomically(folder / key / INFO, info.to_json().encode())
    return replace(found, info=info)


def save_map(folder: Path, gallery_map: GalleryMap) -> Path:
    """Put a map into a model's folder, all of it or nothing; the oldest beyond ``KEPT`` are removed."""
    buffer = io.BytesIO()
    positions = {f"positions_{size}": array for size, array in gallery_map.positions.items()}
    ids = gallery_map.ids.astype(np.str_)  # the one kind of text that needs no pickle
    np.savez(
        buffer, ids=ids, neighbours=gallery_map.graph.positions, distances=gallery_map.graph.distances, **positions
    )
    target = folder / gallery_map.info.key
    with bundle.workplace(target, "map") as place:
        made = place / "made"
        made.mkdir()
        (made / ARRAYS).write_bytes(buffer.getvalue())
        (made / INFO).write_text(gallery_map.info.to_json(), encoding="utf-8")
        if target.exists():
            exchange(made, target)
        else:
            made.rename(target)
    for info in list_maps(folder)[KEPT:]:
        bundle.discard(folder / info.key)
    return target


def graph_known(folder: Path, index_hash: str, k: int) -> NeighbourGraph | None:
    """Return the neighbour graph of these very embeddings, if a map of the model has one that is large enough."""
    for info in list_maps(folder):
        if info.index_hash == index_hash and info.graph_k >= k:
            return load_map(folder, info.key).graph
    return None
