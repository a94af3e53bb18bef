"""Who is signed in, below the menu."""

from __future__ import annotations

import streamlit as st

from app import identity
from app.words import plain


def show() -> None:
    """Show who looks and as what, with the way out; nothing where sign-in is off."""
    found = identity.current()
    if found is None or found.role is None or not identity.is_signing_in():
        return
    with st.sidebar.container(key="account"):
        st.caption(f"{plain(found.name)} · {plain(found.role.title)}")
        st.button("Sign out", icon=":material/logout:", type="tertiary", on_click=identity.sign_out)
