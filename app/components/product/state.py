"""Which product the page is about, in the address line."""

from __future__ import annotations

import streamlit as st

from app import state


def open_product(product_id: str) -> None:
    """Turn the page to another product."""
    st.query_params[state.PRODUCT] = product_id
