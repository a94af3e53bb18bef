"""The question: a photo that the user uploads, or an item of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from app import notices, state, words
from app.components.search import photo_address, photo_ways, query_photo
from app.components.search import state as question
from app.components.shared.product_grid import product_card
from app.services import common, photos
from app.state import Photo
from app.words import plain
from backend.imaging.pixels import FORMATS_READ

if TYPE_CHECKING:
    from backend.bundles.bundle import CatalogueRef
    from backend.imaging.region import Region
    from backend.serving.answers import Answer

_UPLOADER = "query_uploader"
# File names that may be uploaded as a photo; those of every format that is read, the usual ones first.
TYPES = ["png", "jpg", "jpeg", "webp", "heic", "heif", "avif", "gif", "tif", "tiff", "jfif", "jpe", "pjpeg"]


@dataclass(frozen=True, slots=True)
class Query:
    """The picture asked about; ``name`` is the file's or the product's, ``region`` the part that counts.

    ``sha256`` is that of an uploaded photo.
    """

    image: bytes
    name: str
    product_id: str = ""
    region: Region | None = None
    sha256: str = ""


def show(catalogue: CatalogueRef) -> Query | None:
    """Show the uploader and return what is asked about, if anything; the newest choice wins."""
    question.resume()
    with st.container(key=_UPLOADER):
        st.file_uploader(
            "Product photo",
            type=TYPES,
            key=state.uploader_key(),
            on_change=_uploaded,
            max_upload_size=common.settings().max_upload_mb,
            help=f"{FORMATS_READ}. {_kept()}",
        )
    photo_ways.show(_UPLOADER, TYPES)
    photo_address.show()
    query = _current(catalogue)
    if query is not None:
        st.markdown(f"**{plain(query.name)}**")
        query_photo.show(query.image, query.region)
    return query


def offer_part(query: Query, answer: Answer) -> None:
    """Offer the part of the photo that seems to show the product, where one was found and none is chosen yet."""
    found = answer.suggested_region
    if found is not None and query.region is None:
        st.button(
            "Crop to the product",
            icon=":material/crop:",
            help="Puts the box around what seems to be the product. You can change it, or return to the whole photo.",
            on_click=question.choose,
            args=(found.edges,),
            width="stretch",
        )


def shows_both(query: Query) -> bool:
    """Let the user compare the answers for a part of the photo and for all of it; tell whether that is wished."""
    if query.region is None:
        return False
    return st.toggle(
        "Compare with the whole photo",
        key="compare",
        bind="query-params",
        help="Shows what is found for the part and for the whole photo side by side.",
    )


def _current(catalogue: CatalogueRef) -> Query | None:
    if state.product():
        with notices.guarded():  # an old link may name a product that is gone; the page goes on without a question
            product = common.product(catalogue.name, catalogue.version, state.product())
            return Query(product.image, product_card(product).title, product.product_id, question.region())
    if not state.photo():
        return None
    found = photos.find(state.photo())
    if found is None:
        st.info(
            f"The photo of this link is no longer kept. {_kept()} Upload it to search again.",
            icon=":material/hide_image:",
        )
        return None
    return Query(found.image, found.name, region=question.region(), sha256=state.photo())


def _uploaded() -> None:
    """Make what was just uploaded the question."""
    uploaded = state.chosen(state.uploader_key())
    if uploaded is not None:
        state.ask_about_photo(photos.keep(Photo(uploaded.name, uploaded.getvalue())))


def _kept() -> str:
    days = photos.days()
    return (
        f"Photos are kept for {words.count(days, 'day')}, so that links to their answers work, or until they are removed."
        if days
        else "Photos are not stored on the server."
    )
