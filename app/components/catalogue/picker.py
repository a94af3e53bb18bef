"""Choosing one of the catalogues: at first the one that was loaded or changed last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import streamlit as st

from app import navigation, state
from app.services import common

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def require() -> Sequence[str]:
    """Return the names of the catalogues; where there is none, say how to load one, and end the page."""
    names = common.catalogues()
    if not names:
        st.info("There is no catalogue yet. Load your products first.", icon=":material/inventory_2:")
        navigation.link("catalogue", "Load the products")
        st.stop()
    return names


def choose(
    names: Sequence[str], *, width: int | Literal["stretch"] = 320, on_change: Callable[[], None] | None = None
) -> str:
    """Let the user choose; a load that just ended here turns to its catalogue, whichever was looked at before."""
    state.show_loaded(names)
    return st.selectbox(
        "Catalogue",
        names,
        index=names.index(common.newest_catalogue(names)),
        key="catalogue",
        bind="query-params",
        on_change=on_change,
        width=width,
    )
