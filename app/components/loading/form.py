"""Loading products: what to load, then either a short form or a look at the source; returns one typed request."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from app import identity
from app.components.loading import options, pictures, preview
from app.components.loading import source as load_source
from app.services import catalogue
from backend.flow.requests import IngestRequest
from backend.flow.roles import role_for

Choice = Literal["sample", "fashion-mnist", "upload", "server"]
TITLES: dict[Choice, str] = {
    "upload": "Upload a file",
    "server": "Use a folder or file on the server",
    "sample": "Sample shop",
    "fashion-mnist": "Fashion-MNIST",
}
CAPTIONS: dict[Choice, str] = {
    "upload": "Your own products: the export of your shop, or a zip of pictures",
    "server": "Your own products, also as a Delta table",
    "sample": "1,440 products drawn by Twinset, in colour",
    "fashion-mnist": "70,000 small grey pictures, downloaded",
}


def show() -> IngestRequest | None:
    """Show the form; returns the request when it was just sent."""
    choices = [choice for choice in TITLES if choice != "server" or catalogue.source_roots()]
    chosen: Choice = st.radio(
        "What to load",
        choices,
        format_func=TITLES.__getitem__,
        captions=[CAPTIONS[choice] for choice in choices],
        key="ingest_source",
    )
    if chosen == "sample" or chosen == "fashion-mnist":  # noqa: PLR1714 - what mypy narrows by
        return _built_in(chosen)
    source = load_source.upload() if chosen == "upload" else load_source.on_server()
    if source is None:
        return None
    reading = preview.show(source)
    if reading is None:
        return None
    pictures.show(source, reading)
    return options.show(source, reading)


def _built_in(source: Literal["sample", "fashion-mnist"]) -> IngestRequest | None:
    with st.form("ingest", border=False):
        left, right = st.columns(2)
        with left:
            share = options.validation_share("ingest_validation")
        with right:
            seed = options.seed("ingest_seed")
        with st.container(horizontal=True):
            loads = st.form_submit_button(
                "Load products",
                type="primary",
                **identity.only_for(role_for("catalogue")),
                icon=":material/download:",
            )
            checks = st.form_submit_button(
                "Check first",
                icon=":material/fact_check:",
                help="Shows what a load would change before anything is stored.",
            )
    if not loads and not checks:
        return None
    return IngestRequest(source=source, validation_share=share, seed=seed, check_only=checks)
