"""Choosing a product by its id, and what is said where there is none of that id."""

from __future__ import annotations

import streamlit as st

from app import navigation, state
from app.components.product.state import open_product
from app.words import plain

_KEY = "product_search"


def show() -> None:
    """Show the field; another id opens that product."""
    st.text_input(
        "Product id", value=state.product(), key=f"{_KEY}-{state.product()}", on_change=_open, args=(state.product(),)
    )


def _open(before: str) -> None:
    open_product(str(state.chosen(f"{_KEY}-{before}") or "").strip())


def show_none(catalogue: str, product_id: str) -> None:
    """Say that there is no such product, or how to come to one."""
    if product_id:
        text = f"The catalogue {plain(catalogue)} has no product {plain(product_id)} in any version that can be read."
        st.info(text, icon=":material/search_off:")
    else:
        st.info(
            "Enter a product id, or choose *Details* below a product on another page.", icon=":material/inventory_2:"
        )
    navigation.link("catalogue", "See all products", {"catalogue": catalogue})
