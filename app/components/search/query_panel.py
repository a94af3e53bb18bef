"""The question: a photo that the user uploads, or an item of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from app import notices, state
from app.components.shared.product_grid import product_card
from app.services import common
from app.words import plain
from backend.imaging.pixels import FORMATS_READ

if TYPE_CHECKING:
    from backend.bundles.bundle import CatalogueRef

# File names that may be uploaded as a photo; those of every format that is read, the usual ones first.
TYPES = ["png", "jpg", "jpeg", "webp", "heic", "heif", "avif", "gif", "tif", "tiff", "jfif", "jpe", "pjpeg"]


@dataclass(frozen=True, slots=True)
class Query:
    """The picture asked about; ``name`` is the file's or the product's."""

    image: bytes
    name: str
    product_id: str = ""


def show(catalogue: CatalogueRef) -> Query | None:
    """Show the uploader and return what is asked about, if anything; the newest choice wins."""
    st.file_uploader(
        "Product photo",
        type=TYPES,
        key=state.uploader_key(),
        on_change=state.ask_about_upload,
        max_upload_size=common.settings().max_upload_mb,
        help=f"{FORMATS_READ}. The photo is only used to answer, and is not kept.",
    )
    query = _current(catalogue)
    if query is not None:
        st.markdown(f"**{plain(query.name)}**")
    return query


def _current(catalogue: CatalogueRef) -> Query | None:
    if state.product():
        with notices.guarded():  # an old link may name a product that is gone; the page goes on without a question
            product = common.product(catalogue.name, catalogue.version, state.product())
            return Query(product.image, product_card(product).title, product.product_id)
    photo = state.photo()
    return Query(photo.image, photo.name) if photo is not None else None
