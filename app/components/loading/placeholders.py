"""Pictures that many products share: taken for placeholders, unless the user says that they do show the products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices, words
from app.components.shared import product_grid
from app.services import fetching

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 10
_WHAT = "A picture that many different products share is taken for a placeholder, such as “image coming soon”."
_SIDE = 72  # pixels


def show(shared: Sequence[dict[str, Any]]) -> None:
    """Show each with how many products have it, and let the user decide; nothing where there is none."""
    if not shared:
        return
    st.markdown("**Pictures that many products share**")
    st.caption(f"{_WHAT} Products that have no other picture are left out.")
    with notices.guarded():
        real = fetching.real(one["sha256"] for one in shared)
        for one in shared[:SHOWN]:
            _row(one["sha256"], words.count(one["products"], "product"), is_real=one["sha256"] in real)
    if len(shared) > SHOWN:
        st.caption(f"And {words.count(len(shared) - SHOWN, 'more picture')}.")


def _row(sha256: str, products: str, *, is_real: bool) -> None:
    said, offered, icon = (
        ("loaded with this picture", "These are placeholders", "hide_image")
        if is_real
        else ("left out", "These are real pictures", "image")
    )
    with st.container(horizontal=True, vertical_alignment="center", key=f"shared-{sha256}"):
        if (picture := product_grid.shown(fetching.kept(sha256))) is not None:
            st.image(picture, width=_SIDE)
        st.markdown(f"{products}: {said}", width="content")
        if st.button(offered, icon=f":material/{icon}:", key=f"say-{sha256}"):
            fetching.say_real(sha256, is_real=not is_real)
            st.rerun()
