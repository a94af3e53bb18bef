"""What the page of one product shows: the product as it is or last was, its pictures, its variants and its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import streamlit as st

from app.services import common
from backend.catalogue.further_images import further_images
from backend.errors import CatalogueNotFound

if TYPE_CHECKING:
    from backend.catalogue.items import Product
    from backend.catalogue.upkeep.product_history import ProductHistory

VARIANTS = 24


@dataclass(frozen=True, slots=True)
class Shown:
    """A product, and the version of its catalogue that it is shown from: the newest, or the last one that had it."""

    product: Product
    version: int


def shown(catalogue: str, product_id: str) -> Shown | None:
    """The product; one that is gone as it last was, None where no version that can be read has it.

    Raises:
        CatalogueError: The catalogue is damaged.
    """
    newest = common.snapshot(catalogue).version
    try:
        return Shown(common.product(catalogue, newest, product_id), newest)
    except CatalogueNotFound:
        gone = history(catalogue, newest, product_id).gone
    return Shown(common.product(catalogue, gone.before, product_id), gone.before) if gone is not None else None


def newest(catalogue: str) -> int:
    """The newest version of a catalogue."""
    return common.snapshot(catalogue).version


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def further_pictures(catalogue: str, version: int, product_id: str) -> list[bytes]:
    """The pictures of a product beside its first one."""
    return further_images(common.snapshot(catalogue, version), product_id)


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def variants(catalogue: str, version: int, product_id: str, group: str) -> tuple[list[Product], int]:
    """Other products on sale of the same group, the first ones, and how many there are."""
    snapshot = common.snapshot(catalogue, version)
    rows = snapshot.columns(["product_id", "group_id"], on_sale_only=True)
    ids = rows.filter(pc.equal(rows["group_id"], group))["product_id"].to_pylist()
    others = [name for name in ids if name != product_id]
    return snapshot.products(others[:VARIANTS]), len(others)


@st.cache_resource(ttl=600, max_entries=64, show_spinner=False)
def history(catalogue: str, newest: int, product_id: str) -> ProductHistory:  # noqa: ARG001 - part of the key
    """What became of a product in the versions that can be read.

    Raises:
        CatalogueError: The catalogue is damaged.
    """
    from backend.catalogue.upkeep.product_history import product_history

    return product_history(common.settings().catalogues_dir, catalogue, product_id)
