"""What screens do with collections: kept, changed, used as a question or as pins, and written to files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app.services import common, rules
from backend.errors import EndpointError
from backend.merchandising.collections import exports
from backend.merchandising.collections.as_pins import with_pins
from backend.merchandising.collections.sheet import as_sheet
from backend.merchandising.collections.store import CollectionSet, CollectionStore
from backend.retrieval.wishes import MAX_PRODUCTS, Wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.catalogue.items import Product
    from backend.merchandising.collections.collection import Collection
    from backend.merchandising.kept_sets import Published
    from backend.retrieval.rules.rule import Scope
    from backend.serving.client import Answer

MOST_LIKE = MAX_PRODUCTS  # of a collection that similar products are searched for with


@st.cache_resource(max_entries=8, show_spinner=False)
def store(catalogue: str) -> CollectionStore:
    """The collections of a catalogue."""
    return CollectionStore(common.settings().collections_dir, catalogue)


def found(catalogue: str, version: int | None = None) -> CollectionSet:
    """The collections as they are now, or were at a version; raises CatalogueError where they cannot be read."""
    return _at(catalogue, store(catalogue).newest() if version is None else version)


@st.cache_resource(max_entries=16, show_spinner=False)
def _at(catalogue: str, version: int) -> CollectionSet:
    return store(catalogue).read(version)


def removed(catalogue: str) -> dict[str, tuple[str, int]]:
    """The collections that were removed: by id, what they were called and the version before that."""
    return _removed(catalogue, store(catalogue).newest())


@st.cache_resource(max_entries=8, show_spinner=False)
def _removed(catalogue: str, newest: int) -> dict[str, tuple[str, int]]:
    lost: dict[str, tuple[str, int]] = {}
    for one in store(catalogue).history(limit=200):
        if one.removed and one.version > 1:
            before = _at(catalogue, one.version - 1)
            for name in store(catalogue).changes(one.version).removed:
                lost.setdefault(name, (before.get(name).name, one.version - 1))
    return {
        name: about
        for name, about in lost.items()
        if name not in {one.id for one in _at(catalogue, newest).collections}
    }


def history_of(catalogue: str, collection_id: str, *, limit: int) -> list[Published]:
    """The versions that changed a collection, newest first; looked for once for each version of the collections."""
    return _history_of(catalogue, collection_id, limit, store(catalogue).newest())


@st.cache_resource(max_entries=32, show_spinner=False)
def _history_of(catalogue: str, collection_id: str, limit: int, newest: int) -> list[Published]:  # noqa: ARG001 - a part of the key
    return store(catalogue).history_of(collection_id, limit=limit)


def gone(catalogue: str, one: Collection) -> list[str]:
    """The products of a collection that the catalogue does not have (any more)."""
    known = rules.known(catalogue)
    return exports.gone(one, known.ids) if known else []


def products(catalogue: str, ids: Sequence[str]) -> dict[str, Product]:
    """Products with their pictures, by id; those that are gone are passed over."""
    return {product.product_id: product for product in common.snapshot(catalogue).products(ids)}


def as_question(catalogue: str, one: Collection) -> list[str]:
    """The products of a collection that similar ones are searched for with: the first ones that there are."""
    lacking = set(gone(catalogue, one))
    return [name for name in one.products if name not in lacking][:MOST_LIKE]


def answers(catalogue: str) -> bool:
    """Whether the endpoint answers from a catalogue now."""
    try:
        return common.serving().catalogue.name == catalogue
    except EndpointError:
        return False


def similar(ids: Sequence[str], k: int) -> Answer:
    """Return products similar to several products as a whole; raises EndpointError."""
    return common.endpoint().recommend(b"", k=k, wishes=Wishes(like=tuple(ids)))


def pin(catalogue: str, person: str, one: Collection, scope: Scope) -> tuple[int, int]:
    """Put a collection as pins into somebody's draft of rules; returns how many products are pinned, and how many not.

    Raises:
        ChangedMeanwhile: The draft was changed in another window.
        RetrievalError: A rule cannot be made.
    """
    known = rules.known(catalogue)
    mine = rules.draft(catalogue, person)
    now = rules.rules_of(catalogue, mine)
    then, pinned, left_out = with_pins(now, one, scope, person, known.ids if known else one.products)
    rules.set_rules(catalogue, mine, then)
    return pinned, left_out


def csv_of(catalogue: str, one: Collection) -> bytes:
    """Return a collection as CSV for spreadsheets."""
    return exports.as_csv(one, common.snapshot(catalogue)).encode("utf-8-sig")


def zip_of(catalogue: str, one: Collection) -> bytes:
    """Return a collection as a table with its pictures, to be loaded as products."""
    return exports.as_zip(one, common.snapshot(catalogue))


def sheet_of(catalogue: str, one: Collection) -> bytes:
    """Return a collection as a page to be printed."""
    return as_sheet(one, common.snapshot(catalogue)).encode()


def read_csv(name: str, data: bytes) -> dict[str, str]:
    """Return the comment on each product of a CSV, in its order; raises CatalogueError where it cannot be read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"collection{'.tsv' if name.lower().endswith('.tsv') else '.csv'}"
        path.write_bytes(data)
        return exports.from_csv(path)
