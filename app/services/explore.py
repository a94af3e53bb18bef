"""What the Explore page asks of the backend: maps, where products are, what they can be coloured by, what they tell.

What belongs to a model's index is cached under the hash of its embeddings, what belongs to a map under its key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app.services import common
from backend.bundles import bundle
from backend.errors import ProjectionError
from backend.projection import insight, lists
from backend.projection.arrange import Arranged
from backend.projection.columns import Points, points_of
from backend.projection.first_look import principal_components
from backend.projection.maps import MapInfo, list_maps
from backend.projection.reading import Reading, choose_map, open_reading

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.bundles.bundle import CatalogueRef, Manifest
    from backend.projection.lists import SavedList
    from backend.serving.client import Answer

SMALL, LARGE = 4, 16  # entries of caches, by how much each holds


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is drawn of a model: its gallery, and where the products are.

    Attributes:
        name: Of what is drawn, for links between pictures and points: a map's key, or one made of the index.
        info: The map; None for the first look.
    """

    reading: Reading
    points: Points
    arranged: Arranged
    name: str
    info: MapInfo | None


# ------------------------------------------------------------------------------------------------- maps


@st.cache_data(ttl=common.FRESH_S, max_entries=LARGE, show_spinner=False)
def maps(model: str) -> list[MapInfo]:
    """Maps of a model, newest first."""
    return list_maps(_maps_dir(model))


def newest_map(model: Manifest) -> MapInfo | None:
    """The map that is shown of a model: of its present index where there is one; None before one was drawn."""
    return choose_map(maps(model.name), model)


def drawn(model: Manifest, *, first_look: bool, dimensions: int) -> Drawn:
    """What is drawn of a model.

    Raises:
        BundleError: The model was deleted meanwhile.
        RetrievalError: Its index cannot be read.
        ProjectionError: The map cannot be read.
        CatalogueNotFound: The catalogue that was indexed is gone.
    """
    info = None if first_look else newest_map(model)
    key = info.key if info else ""
    reading, points = opened(model, key)
    name = key or f"pca-{model.files[bundle.VECTORS][:12]}"
    return Drawn(reading, points, _arranged(model.name, model.files[bundle.VECTORS], key, dimensions), name, info)


def opened(model: Manifest, key: str) -> tuple[Reading, Points]:
    """A model's gallery with a map, or with none, and what is known of its products."""
    return _opened(model.name, model.files[bundle.VECTORS], key)


@st.cache_resource(ttl=600, max_entries=SMALL, show_spinner="Reading the gallery")
def _opened(model: str, index_hash: str, key: str) -> tuple[Reading, Points]:  # noqa: ARG001 - keeps indexes apart
    folder = common.settings().models_dir / model
    reading = open_reading(folder, _maps_dir(model), key=key, needs_map=bool(key))
    ref = reading.catalogue
    has_graph = reading.map is not None and reading.map.info.is_of(reading.manifest)
    nearest = reading.map.graph.positions[:, 0] if has_graph and reading.map else None
    return reading, points_of(folder, reading.manifest, reading.vectors, nearest, common.snapshot(*ref))


@st.cache_resource(ttl=600, max_entries=LARGE, show_spinner="Placing the products")
def _arranged(model: str, index_hash: str, key: str, dimensions: int) -> Arranged:
    reading, _ = _opened(model, index_hash, key)
    if key:
        return reading.arranged(dimensions)
    positions = _components(model, index_hash)[:, :dimensions]
    return Arranged(positions, np.zeros(len(positions), dtype=np.bool_), 0)


@st.cache_resource(ttl=600, max_entries=SMALL, show_spinner=False)
def _components(model: str, index_hash: str) -> NDArray[np.float32]:
    reading, _ = _opened(model, index_hash, "")
    if not np.isfinite(reading.vectors).all():
        raise ProjectionError(
            "The index contains embeddings that are not finite.",
            next_step="Retrain the model with a lower learning rate and rebuild its index.",
        )
    return principal_components(reading.vectors)


def _maps_dir(model: str) -> Path:
    return common.settings().maps_dir / model


# ------------------------------------------------------------------------------------------------- what they tell


@st.cache_data(ttl=600, max_entries=SMALL, show_spinner="Looking for outliers")
def outliers(model: str, index_hash: str) -> list[insight.Outlier]:
    """Products far from the centre of their label."""
    reading, _ = _opened(model, index_hash, "")
    return insight.outliers(reading.vectors, reading.labels)


@st.cache_resource(ttl=600, max_entries=SMALL, show_spinner="Comparing the labels")
def overlap(model: str, index_hash: str, key: str) -> insight.Overlap:
    """How labels relate to each other; raises ProjectionError where the map is of an earlier index."""
    reading, _ = _opened(model, index_hash, key)
    return insight.overlap(reading.vectors, reading.labels, reading.graph)


@st.cache_resource(ttl=600, max_entries=SMALL, show_spinner="Counting recommendations")
def hubs(model: str, index_hash: str, key: str) -> insight.Hubs:
    """How often products are recommended; raises ProjectionError where the map is of an earlier index."""
    reading, _ = _opened(model, index_hash, key)
    return insight.hubs(reading.graph)


@st.cache_data(ttl=600, max_entries=LARGE, show_spinner="Looking for near duplicates")
def near_duplicates(model: str, index_hash: str, key: str, distance: float) -> list[tuple[int, ...]]:
    """Groups of products with nearly the same embedding; raises ProjectionError where the map is of an earlier index."""
    reading, _ = _opened(model, index_hash, key)
    return insight.near_duplicates(reading.graph, distance)


def answer(image: bytes, k: int) -> Answer:
    """Ask the endpoint for the neighbours that place a photo.

    Raises:
        EndpointError: It could not answer, or refused the picture.
    """
    return common.endpoint().recommend(image, k=k, include_images=False)


# ------------------------------------------------------------------------------------------------- lists


def saved_lists() -> list[SavedList]:
    """All saved lists, newest first."""
    return lists.saved_lists(common.settings().lists_dir)


def save_list(found: SavedList) -> SavedList:
    """Keep a list under its name; raises ProjectionError where it cannot be kept so."""
    return lists.save_list(common.settings().lists_dir, found)


def delete_list(name: str) -> None:
    """Remove a list."""
    lists.delete_list(common.settings().lists_dir, name)


def keep_selection(ids: Iterable[str]) -> str:
    """Keep a selection and return its short id."""
    return lists.keep_selection(common.settings().lists_dir, ids)


def selected(short: str) -> tuple[str, ...]:
    """Products of a selection; raises ProjectionError where it is not kept any more."""
    return lists.selection(common.settings().lists_dir, short)


def catalogue_of(reading: Reading) -> CatalogueRef:
    """The catalogue version whose pictures are shown."""
    return bundle.CatalogueRef(*reading.catalogue)
