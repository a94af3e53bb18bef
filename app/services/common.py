"""Composition root: the settings and the few backend services that screens use, each built once and shared.

Pages and components get everything from here, so that a test replaces a service at this one door. What is cached is
immutable (a catalogue at one version) or looked at again after a few seconds; nothing grows without bound.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import state
from backend.access.logs import log_app
from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef
from backend.catalogue.fields import FACETS, RANGES
from backend.catalogue.items import GALLERY_SPLITS, PRODUCTS
from backend.catalogue.snapshot import Snapshot, list_catalogues, open_snapshot
from backend.errors import CatalogueError
from backend.files.storage import keep_private
from backend.jobs.runner import JobRunner
from backend.serving.client import SUGGEST
from backend.serving.clients import client_of
from backend.settings import Settings, load_settings
from backend.training import presets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.catalogue.items import CatalogueSummary, Product
    from backend.imaging.region import Region
    from backend.jobs.disk import DiskUse
    from backend.machine.doctor import Check
    from backend.machine.keeper import Trouble
    from backend.retrieval.wishes import Wishes
    from backend.serving.client import EndpointClient
    from backend.serving.further import Further

FACET_TEXTS = ("label", *FACETS)
FACET_COLUMNS = (*FACET_TEXTS, *RANGES, "stock")
FACET_VALUES = 5_000  # more than that are not sent to the browser: of more, the most frequent
FRESH_S = 3.0  # how old the answer to "what is there now?" may be
TOKEN_FRESH_S = 60.0  # a home that was made anew has another token
STATUS_TIMEOUT_S = 3.0
UNKNOWN = "unknown"  # the catalogue of an endpoint that does not say; there is none of that name and version 0


@dataclass(frozen=True, slots=True)
class Serving:
    """What the endpoint answers with now; ``model`` is the name of the bundle, ``splits`` are those that are searched."""

    model_name: str
    model_version: int
    model: str
    catalogue: CatalogueRef
    gallery_size: int
    splits: tuple[str, ...]
    colour_weight: float | None = None


@dataclass(frozen=True, slots=True)
class Facets:
    """What can be filtered by: the values of each column that has any, and the least and greatest of numbers.

    Attributes:
        values: In alphabetical order, of each column; the most frequent of one with very many.
        more: How many further values a column has.
    """

    values: dict[str, list[str]]
    more: dict[str, int]
    ranges: dict[str, tuple[float, float]]
    has_stock: bool


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The settings in force, read once; the log goes where the process's errors go."""
    found = load_settings()
    keep_private(found.home)
    log_app(found)
    return found


# ------------------------------------------------------------------------------------------------- jobs


@st.cache_resource(show_spinner=False)
def jobs() -> JobRunner:
    """Starts, follows and ends jobs."""
    return JobRunner(settings())


# ------------------------------------------------------------------------------------------------- catalogues


def catalogues() -> list[str]:
    """Names of all catalogues."""
    return list_catalogues(settings().catalogues_dir)


def newest_catalogue(names: Sequence[str]) -> str:
    """The catalogue that was loaded or changed last."""
    return max(names, key=lambda name: (settings().catalogues_dir / name / PRODUCTS / "_delta_log").stat().st_mtime)


@st.cache_resource(ttl=FRESH_S, max_entries=8, show_spinner=False)
def snapshot(name: str, version: int | None = None) -> Snapshot:
    """A catalogue at a version, the newest unless one is given.

    Raises:
        CatalogueNotFound: There is no such catalogue or version.
    """
    return open_snapshot(settings().catalogues_dir, name, version)


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def summary(name: str, version: int) -> CatalogueSummary:
    """A catalogue version in counts."""
    return snapshot(name, version).summary()


def has_labels(catalogue: CatalogueRef) -> bool:
    """Whether any product has a label, as far as is known: the endpoint's catalogue need not be on this machine."""
    try:
        return bool(summary(catalogue.name, catalogue.version).labels)
    except CatalogueError:
        return True


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def products(
    name: str, version: int, *, offset: int, limit: int, split: str | None = None, label: str | None = None, search: str
) -> tuple[list[Product], int]:
    """A page of products, and how many match in all."""
    return snapshot(name, version).page(offset=offset, limit=limit, split=split, label=label, search=search)


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def product(name: str, version: int, product_id: str) -> Product:
    """One product with its picture."""
    return snapshot(name, version).product(product_id)


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def fitting_preset(name: str, version: int) -> str:
    """The preset that fits most pictures of a catalogue version."""
    return presets.fitting_preset(snapshot(name, version))


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def facets(name: str, version: int) -> Facets:
    """What the gallery of a catalogue version can be filtered by."""
    columns = snapshot(name, version).columns(list(FACET_COLUMNS), on_sale_only=True)
    counted = {column: Counter(columns[column].drop_null().to_pylist()) for column in FACET_TEXTS}
    offered = {column: found for column, found in counted.items() if len(found) > 1}
    numbers = {column: columns[column].drop_null().to_numpy() for column in RANGES}
    return Facets(
        values={
            column: sorted(name for name, _ in found.most_common(FACET_VALUES)) for column, found in offered.items()
        },
        more={column: len(found) - FACET_VALUES for column, found in offered.items() if len(found) > FACET_VALUES},
        ranges={column: (float(found.min()), float(found.max())) for column, found in numbers.items() if len(found)},
        has_stock=len(columns["stock"].drop_null()) > 0,
    )


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def examples(name: str, version: int, count: int) -> list[Product]:
    """Products to start from, spread over the labels; of the test split where there is one: no model has learnt those."""
    by_label = summary(name, version).by_label
    found: list[Product] = []
    for turn in range(math.ceil(count / max(len(by_label), 1))):
        for label in sorted(by_label)[: count - len(found)]:
            split = "test" if by_label[label].get("test", 0) > turn else None
            found += snapshot(name, version).page(offset=turn, limit=1, split=split, label=label)[0]
    return found


# ------------------------------------------------------------------------------------------------- models


def models() -> list[bundle.Manifest]:
    """Manifests of all model bundles, newest first; see :func:`damaged_models` for what is left out."""
    return list(model_folders().bundles)


def damaged_models() -> tuple[bundle.LeftOut, ...]:
    """Folders among the models that are damaged, or none of ours, and why."""
    return model_folders().left_out


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def model_folders() -> bundle.Models:
    """What is in the models folder."""
    return bundle.survey(settings().models_dir)


# ------------------------------------------------------------------------------------------------- endpoint


@st.cache_resource(ttl=TOKEN_FRESH_S, show_spinner=False)
def endpoint() -> EndpointClient:
    """The client that asks for neighbours."""
    return client_of(settings(), timeout_s=settings().endpoint_timeout_s, retries=settings().endpoint_retries)


@st.cache_resource(ttl=TOKEN_FRESH_S, show_spinner=False)
def status_client() -> EndpointClient:
    """The client that asks how the endpoint is, and does not wait long."""
    return client_of(settings(), timeout_s=STATUS_TIMEOUT_S)


@st.cache_resource(ttl=FRESH_S, max_entries=1, show_spinner=False)
def serving() -> Serving:
    """What the endpoint serves now.

    Raises:
        EndpointError: The endpoint does not answer, the token is wrong, or no model is served yet.
    """
    raw = status_client().version()
    model, catalogue = raw["model"], raw["catalogue"]
    return Serving(
        model_name=model["name"],
        model_version=model["version"],
        model=model["bundle"],
        catalogue=CatalogueRef(catalogue["name"] or UNKNOWN, catalogue["version"]),
        gallery_size=raw["gallery_size"],
        splits=tuple(raw.get("splits", GALLERY_SPLITS)),
        colour_weight=raw.get("colour_weight"),
    )


def recommend(
    image: bytes,
    *,
    k: int,
    filters: dict[str, Any],
    wishes: Wishes | None = None,
    further: Further | None = None,
    region: Region | None = None,
    revision: str = "",
) -> state.Answered:
    """Ask the endpoint for the k nearest items; the same question twice in a row, at one ``revision`` of rules, is asked once.

    Raises:
        EndpointError: It could not answer, or refused the picture.
    """
    pictures = _digest(image, further)
    question = f"{pictures} {k} {sorted(filters.items())} {wishes} {region} {revision}"
    known = state.answered(question)
    if known is not None:
        return known
    started, part = time.perf_counter(), SUGGEST if region is None else region
    answer = endpoint().recommend(image, k=k, filters=filters or None, wishes=wishes, further=further, region=part)
    answered = state.Answered(question, answer, time.perf_counter() - started)
    state.keep(answered)
    return answered


def _digest(image: bytes, further: Further | None) -> str:
    """Tell the pictures of one question from those of another, without a copy of them: a photo may have 25 MB."""
    named = [("", image)]
    if further is not None:
        named += [("like", data) for data in further.like] + [("unlike", data) for data in further.unlike]
    return " ".join(name + hashlib.sha256(data).hexdigest() for name, data in named)


# ------------------------------------------------------------------------------------------------- the machine


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def machine_checks() -> list[Check]:
    """What ``make doctor`` finds."""
    from backend.jobs.readiness import checks

    return checks(settings())


def server_troubles() -> list[Trouble]:
    """The servers that died and are started again; none where nothing keeps them running."""
    from backend.machine.keeper import troubles

    return troubles(settings().home)


@st.cache_data(ttl=60, max_entries=1, show_spinner="Measuring the home folder …")
def disk_use() -> DiskUse:
    """What the home holds, the largest first, and what is left on its disk."""
    from backend.jobs import disk

    return disk.disk_use(settings())
