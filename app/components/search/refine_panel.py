"""How the answer is to be: variety, duplicates, further photos, and products that it is to be less like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from app import state, words
from app.components.search.query_panel import TYPES
from app.services import common
from backend.retrieval.wishes import Wishes
from backend.serving.further import Further

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.retrieval.wishes import Collapse

# How far from the model's own balance towards colour alone; shape alone is the other end.
COLOURS = {"Shape only": None, "Usual": 0.0, "More colour": 0.2, "Mostly colour": 0.5, "Colour only": 1.0}
COUNTS = {"A little": 0.5, "Normal": 1.0, "More": 2.0}
MORE, UNWANTED = 4, 3  # photos beside the one asked about


@dataclass(frozen=True, slots=True)
class Refinement:
    """What was chosen; ``further`` is None where there is only the one photo."""

    wishes: Wishes = field(default_factory=Wishes)
    further: Further | None = None


def show(colour_share: float | None) -> Refinement:
    """Show the choices behind a button, and return what is chosen.

    Args:
        colour_share: How much colour counts as it is; None where that cannot be changed.
    """
    with st.popover("Refine", icon=":material/auto_awesome:"):
        colour = None if colour_share is None else _colour(colour_share)
        variety = st.slider(
            "More variety",
            0,
            100,
            0,
            step=10,
            key="variety",
            bind="query-params",
            format="%d %%",
            help="Higher values replace similar-looking products with others that still fit.",
        )
        collapse = _collapse()
        like = _photos("More photos of what you look for", "more", most=MORE)
        weights = [1.0, *(_count(number) for number in range(1, len(like) + 1))] if like else []
        unlike = _photos("Photos of what you do not want", "unwanted", most=UNWANTED)
    wishes = Wishes(
        weights=tuple(weights),
        unlike=tuple(state.less_like()),
        diversity=variety / 100,
        collapse=collapse,
        colour_weight=colour,
    )
    further = Further(tuple(like), tuple(unlike))
    return Refinement(wishes, further if further != Further() else None)


def show_less_like() -> None:
    """Show which products the answer is to be less like, each with a click to forget it."""
    ids = state.less_like()
    if not ids:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Less like", width="content")
        for product_id in ids:
            st.button(
                words.plain(product_id),
                icon=":material/close:",
                key=f"forgive-{product_id}",
                help="Undo this",
                on_click=state.forgive,
                args=(product_id,),
            )


def _colour(share: float) -> float | None:
    """Let the user move between shape and colour; None where it is left as it is."""
    chosen = st.select_slider(
        "More about shape … more about colour",
        list(COLOURS),
        value="Usual",
        key="balance",
        bind="query-params",
        help="To the left, products with the same shape come first; to the right, products in the same colours.",
    )
    step = COLOURS[chosen]
    if step is None:
        return 0.0
    return share + (1.0 - share) * step if step else None


def _collapse() -> Collapse:
    duplicates = st.toggle(
        "Hide duplicates", key="hide_duplicates", help="Products whose pictures look the same are shown once."
    )
    variants = st.toggle(
        "One of each design", key="hide_variants", help="Colours and sizes of one product are shown once."
    )
    every = st.toggle(
        "Show every variant", key="every_variant", help="Where products come in groups, one of each is shown otherwise."
    )
    if variants:
        return "variants"
    return "duplicates" if duplicates else "none" if every else "auto"


def _photos(title: str, name: str, *, most: int) -> Sequence[bytes]:
    uploaded = st.file_uploader(
        title,
        type=TYPES,
        key=state.further_key(name),
        accept_multiple_files=True,
        max_upload_size=common.settings().max_upload_mb,
    )
    return [file.getvalue() for file in (uploaded or [])[:most]]


def _count(number: int) -> float:
    chosen = st.select_slider(
        f"Importance of photo {number + 1}",
        list(COUNTS),
        value="Normal",
        key=state.further_key(f"count_{number}"),
    )
    return COUNTS[chosen]
