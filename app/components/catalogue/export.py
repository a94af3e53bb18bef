"""The shop's own table, corrected, for download: its layout, its rows, and a column that says what was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app.components.catalogue.results import exported
from app.components.jobs import panel
from app.services import export
from app.words import plain

if TYPE_CHECKING:
    from backend.flow.requests import ExportRequest

_TITLE = "Download your table, corrected"


def show(catalogue: str) -> None:
    """Let the user have the table that a catalogue was loaded from as it came, corrected."""
    with st.expander(_TITLE, icon=":material/table_edit:", key=f"export_{catalogue}"), notices.guarded():
        st.caption(
            "Your own columns and rows, with unreadable values removed and texts cleaned. A last column says what was "
            "changed in each row, so you can check it before importing the table into your shop."
        )
        tables = export.tables_of(catalogue)
        if not tables:
            st.info(
                f"The table that {plain(catalogue)} was loaded from is not here. Load your table again; then you can "
                "download it corrected.",
                icon=":material/info:",
            )
            return
        named = {one.title: one for one in reversed(tables)}
        titles = list(reversed(named))
        if len(titles) > 1:
            title = st.selectbox("Table", titles, key=f"export-of-{catalogue}")
        else:
            title = titles[0]
            st.markdown(plain(title))
        _download(named[title].request)


def _download(wanted: ExportRequest) -> None:
    ready = export.prepared(wanted)
    with st.container(horizontal=True, vertical_alignment="center"):
        if ready is not None:
            st.link_button(
                f"Download ({words.size(ready.n_bytes)})", ready.address, type="primary", icon=":material/download:"
            )
        title = "Prepare the download" if ready is None else "Prepare it again"
        if st.button(title, icon=":material/build:", key=f"export-{wanted.catalogue}"):
            panel.submit(wanted)
            st.rerun()
    for sentence in exported(ready.result) if ready is not None else ():
        st.caption(words.prose(sentence))
