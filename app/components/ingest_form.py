"""Loading a source into a catalogue: the form returns one typed request."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from backend.requests import IngestRequest, SourceName

TITLES: dict[SourceName, str] = {
    "sample": "Sample shop, drawn by Twinset, in colour",
    "fashion-mnist": "Fashion-MNIST, 70,000 small grey pictures",
}


def show() -> IngestRequest | None:
    """Show the form; returns the request when it was just sent."""
    with st.form("ingest", border=False):
        source: SourceName = st.radio(
            "Source", get_args(SourceName), index=1, format_func=lambda name: TITLES[name], key="ingest_source"
        )
        left, right = st.columns(2)
        share = left.number_input(
            "Validation share",
            min_value=0.01,
            max_value=0.5,
            value=0.1,
            step=0.01,
            help="The part of each label's training products that is set aside to judge the training.",
        )
        seed = right.number_input(
            "Seed",
            min_value=0,
            max_value=2**31 - 1,
            value=7,
            key="ingest_seed",
            help="The same seed sets the same products aside.",
        )
        if st.form_submit_button("Load products", type="primary", icon=":material/download:"):
            return IngestRequest(source=source, validation_share=float(share), seed=int(seed))
    return None
