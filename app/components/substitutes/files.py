"""What was kept, as files and as pins."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, notices, state, words
from app.components.rules import person
from app.components.shared import download
from app.services import substitutes

if TYPE_CHECKING:
    from backend.merchandising.substitutes.files import FileKind

_FILES: dict[FileKind, tuple[str, str, str]] = {
    "csv": ("Table (CSV)", "substitutes.csv", "text/csv"),
    "xlsx": ("Excel", "substitutes.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "shopify": ("Shopify", "substitutes-shopify.csv", "text/csv"),
    "woocommerce": ("WooCommerce", "substitutes-woocommerce.csv", "text/csv"),
}
_PINNED = "substitutes_pinned"


def show(catalogue: str) -> None:
    """Let the user download what was kept, or pin it."""
    st.subheader("Use the substitutes")
    unchecked = st.toggle("Include those that are not checked yet", key="substitutes_unchecked")
    with st.container(horizontal=True):
        for kind, (title, name, mime) in _FILES.items():
            make = partial(substitutes.file_of, catalogue, kind, unchecked=unchecked)
            download.show(title, make, f"{catalogue}-{name}", mime, key=f"substitutes_file_{kind}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        editor = person.ask()
        if st.button("Pin the kept ones", icon=":material/keep:", disabled=not editor, key="substitutes_pin"):
            with notices.guarded():
                state.note(_PINNED, substitutes.pin(catalogue, editor))
    if (pinned := state.noted(_PINNED)) is not None:
        st.success(
            f"{words.count(pinned, 'pin is', 'pins are')} in your draft. Nothing changes for shoppers before you publish it.",
            icon=":material/check:",
        )
        navigation.link("rules", "Review and publish the draft")
