"""One more way to a photo: its web address, where the administrator allows its host."""

from __future__ import annotations

import streamlit as st

from app import notices, state
from app.services import fetching, photos

OFF = "To search with the web address of a photo, ask your Twinset administrator to allow its host."


def show() -> None:
    """Let the user paste an address; the photo behind it becomes the question. Where that is off, say whom to ask."""
    if fetching.is_off():
        st.caption(OFF)
        return
    key = f"address_{state.uploader_key()}"  # the next photo brings an empty one
    with st.form(f"form_{key}", border=False):
        address = st.text_input("Web address of a photo", placeholder="https://…", key=key)
        is_sent = st.form_submit_button("Use this photo", icon=":material/link:")
    if is_sent and address.strip():
        with notices.guarded(), st.spinner("Fetching the photo"):
            state.ask_about_photo(photos.keep(fetching.photo(address.strip())))
            st.rerun()
