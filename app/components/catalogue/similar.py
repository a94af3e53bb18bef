"""Similar products for the shop: a list that the shop's own page reads, made by a click and downloaded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app.components.jobs import panel
from app.components.shared import download
from app.services import deploy
from app.services.shop import similar
from backend.flow.requests import SimilarRequest

if TYPE_CHECKING:
    from backend.merchandising.similar.layouts import LayoutName
    from backend.merchandising.similar.stand import Stand

TITLE = "Similar products for the shop"
FILES: dict[LayoutName, tuple[str, str]] = {
    "wide": ("Table (CSV)", "similar.csv"),
    "jsonl": ("JSON lines", "similar.jsonl"),
    "shopify": ("Shopify", "similar-shopify.csv"),
    "woocommerce": ("WooCommerce", "similar-woocommerce.csv"),
}


def show(catalogue: str) -> None:
    """Show how the list of a catalogue stands, and let the user make it, bring it up to date and download it."""
    found = None
    with notices.guarded():
        found = similar.of(catalogue)
    with st.expander(TITLE, icon=":material/view_list:", key=f"similar_{catalogue}"), notices.guarded():
        answers = deploy.answers_from(catalogue)
        if found is not None:
            _stand(found)
        elif answers:
            st.caption("Every product with those that look most like it, for the product pages of your shop.")
        else:
            st.info(
                "First make it possible to find similar products in this catalogue.", icon=":material/image_search:"
            )
        if answers:
            _make(found)
        if found is not None:
            _files(catalogue)
    panel.show_latest("similar", page="catalogue")


def _stand(found: Stand) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if found.is_stale:
            st.badge("Not up to date", icon=":material/history:", color="orange")
        else:
            st.badge("Up to date", icon=":material/check:", color="green")
        products = words.count(found.products, "product")
        st.caption(words.plain(f"{products}, up to {found.k} similar ones each, made {words.moment(found.at)}."))


def _make(found: Stand | None) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        k = st.number_input("Similar products each", 1, 100, found.k if found else 12, key="similar_k", width=180)
        label = "Bring it up to date" if found else "Make the list"
        is_due = found is None or found.is_stale
        if st.button(label, type="primary" if is_due else "secondary", icon=":material/sync:", key="similar_make"):
            panel.submit(SimilarRequest(k=int(k)))
            st.rerun()


def _files(catalogue: str) -> None:
    st.markdown("**Download**")
    with st.container(horizontal=True):
        for layout, (title, name) in FILES.items():
            mime = "text/csv" if name.endswith(".csv") else "application/jsonl"
            make = partial(similar.file_of, catalogue, layout)
            download.show(title, make, f"{catalogue}-{name}", mime, key=f"similar_file_{layout}")
