"""Where products are loaded from: an upload, or a place on the server that a setting allows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app import notices, state, words
from app.services import catalogue, common

if TYPE_CHECKING:
    from app.state import Source

SUFFIXES = ("zip", "csv", "tsv", "txt", "xlsx", "xml", "json", "jsonl", "ndjson", "gz", "parquet")
KIND_TITLES = {
    "folder": "Folder of pictures",
    "zip": "Zip",
    "csv": "Table",
    "parquet": "Parquet table",
    "delta": "Delta table",
}
HOW = (
    "The export of your shop as it is: CSV, Excel, XML or JSON. Twinset recognises the usual shop systems. If the pictures are "
    "files, zip them together with the table. Pictures alone: one folder per label, zipped: `bag/1.jpg`, `hat/2.jpg`."
)


def upload() -> Source | None:
    """Let the user upload a file; returns it once it is stored, until another one is asked for."""
    if state.source() is None:
        limit = common.settings().max_source_upload_mb
        uploaded = st.file_uploader(
            "Your products", type=SUFFIXES, max_upload_size=limit, key=state.source_uploader_key(), help=HOW
        )
        if uploaded is None:
            st.caption(HOW)
            _say_server()
            return None
        with notices.guarded(), st.spinner("Storing the file"):
            state.keep_source(catalogue.keep_upload(uploaded.name, uploaded))
        if state.source() is not None:
            st.rerun()  # with an empty uploader: it is stored now, and need not be held in memory
    source = state.source()
    if source is not None:
        _head(source)
    return source


def on_server() -> Source | None:
    """Let the user name a path on the server; returns what is there."""
    roots = catalogue.source_roots()
    path = st.text_input(
        "Path on the server",
        placeholder=f"{roots[0]}{os.sep}…",
        key="source_path",
        help="A folder of pictures, a zip, a shop export (CSV, Excel, XML, JSON), a Parquet file, or a Delta table.",
    ).strip()
    st.caption(f"It must be inside {' or '.join(words.plain(str(root)) for root in roots)}.")
    if not path:
        return None
    found = None
    with notices.guarded():
        found = catalogue.source_at(path)
        st.markdown(f"**{words.plain(found.name)}** · {KIND_TITLES[found.kind]}")
    return found


def _head(source: Source) -> None:
    size = words.size(Path(source.path).stat().st_size)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{words.plain(source.name)}** · {KIND_TITLES[source.kind]}, {size}", width="content")
        st.button("Choose another file", icon=":material/close:", type="tertiary", on_click=state.forget_source)


def _say_server() -> None:
    if not catalogue.source_roots():
        st.caption(
            "To load files from the server without an upload, ask your Twinset administrator to allow their folder."
        )
