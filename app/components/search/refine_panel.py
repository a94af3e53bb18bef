"""How the answer is to be: variety, duplicates, further photos, and products that it is to be less like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import streamlit as st

from app import state, words
from app.components.search import state as question
from app.components.search.query_panel import TYPES
from app.services import common, photos
from app.state import Photo
from backend.retrieval.wishes import Wishes
from backend.serving.further import Further

if TYPE_CHECKING:
    from backend.retrieval.wishes import Collapse

# How far from the model's own balance towards colour alone; shape alone is the other end.
COLOURS = {"Shape only": None, "Usual": 0.0, "More colour": 0.2, "Mostly colour": 0.5, "Colour only": 1.0}
COUNTS = {"A little": 0.5, "Normal": 1.0, "More": 2.0}
MORE, UNWANTED = 4, 3  # photos beside the one asked about
_BIND: Literal["query-params"] = "query-params"


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
            bind=_BIND,
            format="%d %%",
            help="Higher values replace similar-looking products with others that still fit.",
        )
        collapse = _collapse()
        like = _photos("More photos of what you look for", state.MORE, most=MORE)
        unlike = _photos("Photos of what you do not want", state.UNWANTED, most=UNWANTED)
    wishes = Wishes(
        weights=(1.0, *(weight for _, weight in like)) if like else (),
        unlike=tuple(question.less_like()),
        diversity=variety / 100,
        collapse=collapse,
        colour_weight=colour,
    )
    further = Further(*(tuple(image for image, _ in some) for some in (like, unlike)))
    return Refinement(wishes, further if further != Further() else None)


def show_less_like() -> None:
    """Show which products the answer is to be less like, each with a click to forget it."""
    ids = question.less_like()
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
                on_click=question.forgive,
                args=(product_id,),
            )


def _colour(share: float) -> float | None:
    """Let the user move between shape and colour; None where it is left as it is."""
    chosen = st.select_slider(
        "More about shape … more about colour",
        list(COLOURS),
        value="Usual",
        key="balance",
        bind=_BIND,
        help="To the left, products with the same shape come first; to the right, products in the same colours.",
    )
    step = COLOURS[chosen]
    if step is None:
        return 0.0
    return share + (1.0 - share) * step if step else None


def _collapse() -> Collapse:
    duplicates = st.toggle(
        "Hide duplicates",
        key="hide_duplicates",
        bind=_BIND,
        help="Products whose pictures look the same are shown once.",
    )
    variants = st.toggle(
        "One of each design", key="hide_variants", bind=_BIND, help="Colours and sizes of one product are shown once."
    )
    every = st.toggle(
        "Show every variant",
        key="every_variant",
        bind=_BIND,
        help="Where products come in groups, one of each is shown otherwise.",
    )
    if variants:
        return "variants"
    return "duplicates" if duplicates else "none" if every else "auto"


def _photos(title: str, name: str, *, most: int) -> list[tuple[bytes, float]]:
    """Let the user add photos, weigh and remove them; returns those that there are, each with how much it counts."""
    found = question.photos(name)
    key = state.further_key(f"{name}_{len(found)}")
    st.file_uploader(
        title,
        type=TYPES,
        key=key,
        accept_multiple_files=True,
        max_upload_size=common.settings().max_upload_mb,
        on_change=_add,
        args=(name, key, most),
        disabled=len(found) >= most,
    )
    shown = [_photo(name, sha256, number) for number, sha256 in enumerate(found, 2)]
    return [one for one in shown if one is not None]


def _photo(name: str, sha256: str, number: int) -> tuple[bytes, float] | None:
    """Show a further photo; None, and the reason, where it is not kept any more."""
    photo, weight = photos.find(sha256), question.photos(name)[sha256]
    if photo is None:
        st.caption(":material/hide_image: A photo of this link is no longer kept; the answer is without it.")
    st.button(
        words.plain(photo.name if photo else "Not kept"),
        icon=":material/close:",
        key=f"drop-{name}-{sha256}",
        help="Remove this photo",
        on_click=_weigh,
        args=(name, sha256, None),
    )
    if photo is None:
        return None
    if name == state.MORE:
        key = question.shown(f"count-{sha256}", next(text for text, count in COUNTS.items() if count == weight))
        st.select_slider(
            f"Importance of photo {number}",
            list(COUNTS),
            key=key,
            on_change=_weigh,
            args=(name, sha256, f"count-{sha256}"),
        )
    return photo.image, weight


def _add(name: str, key: str, most: int) -> None:
    files = state.chosen(key) or []
    kept = {photos.keep(Photo(file.name, file.getvalue())): 1.0 for file in files}
    question.set_photos(name, dict(list((question.photos(name) | kept).items())[:most]))


def _weigh(name: str, sha256: str, key: str | None) -> None:
    """Have a photo count as much as was chosen, or, without a widget, no more."""
    others = {other: weight for other, weight in question.photos(name).items() if other != sha256 or key}
    question.set_photos(name, others | ({sha256: COUNTS[question.has_changed(key)]} if key else {}))
