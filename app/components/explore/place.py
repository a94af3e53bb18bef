"""A photo on the map: the endpoint finds its neighbours, and it lands among them; nothing is redrawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app import notices, state, words
from app.components.explore import map as explore_map
from app.components.explore import state as explore_state
from app.components.search.query_panel import TYPES
from app.services import common, explore
from backend.errors import WorkbenchError

if TYPE_CHECKING:
    from app.components.explore.map import Above
    from app.services.explore import Drawn

LINES = 10
_KEY = "explore_photo"


@dataclass(frozen=True, slots=True)
class Landed:
    """What the endpoint found for a photo: product ids and cosine distances, nearest first."""

    name: str
    model: str
    pairs: tuple[tuple[str, float], ...]


def show(found: Drawn) -> None:
    """Let a photo be put onto the map, and say where it landed."""
    if found.info is None:
        return
    with st.expander("Put a photo on the map", icon=":material/add_photo_alternate:", key="explore_place"):
        uploaded = st.file_uploader(
            "Photo",
            type=TYPES,
            key=_KEY,
            max_upload_size=common.settings().max_upload_mb,
            label_visibility="collapsed",
            on_change=_ask,
            args=(found.info.options.neighbours,),
        )
        landed = explore_state.landed()
        if uploaded is None or landed is None:
            st.caption(
                "The endpoint finds its neighbours, and the photo is placed among them. The map itself does not change."
            )
            return
        if isinstance(landed, WorkbenchError):
            notices.show(landed)
            return
        try:
            _place(found, landed, 2)
        except WorkbenchError as error:
            notices.show(error)
            return
        nearest = landed.pairs[0]
        st.caption(
            f"{words.plain(landed.name)} is drawn as a cross, with lines to its neighbours; the nearest is "
            f"{words.plain(nearest[0])}, similarity {1 - nearest[1]:.3f}."
        )


def draw(found: Drawn, above: Above) -> None:
    """Draw the photo that was put onto the map, if there is one, with lines to its neighbours."""
    landed = explore_state.landed()
    if not isinstance(landed, Landed) or found.info is None or state.chosen(_KEY) is None:
        return
    try:
        place = _place(found, landed, found.arranged.positions.shape[1])
    except WorkbenchError:
        return  # said below the map
    names = np.asarray([name for name, _ in landed.pairs[:LINES]], dtype=np.str_)
    places = np.searchsorted(found.points.ids, names).clip(max=len(found.points.ids) - 1)
    near = places[found.points.ids[places] == names]
    above.link(place, [int(at) for at in near], explore_map.TRUE_COLOUR)
    above.ring(place, "x")


def _ask(k: int) -> None:
    uploaded = state.chosen(_KEY)
    if uploaded is None:
        explore_state.land(None)
        return
    try:
        answer = explore.answer(uploaded.getvalue(), k)
    except WorkbenchError as error:
        explore_state.land(error)
        return
    pairs = tuple((neighbour.product_id, neighbour.distance) for neighbour in answer.neighbours)
    explore_state.land(Landed(uploaded.name, answer.model, pairs))


def _place(found: Drawn, landed: Landed, dimensions: int) -> list[float]:
    return found.reading.place(landed.pairs, dimensions, answered_by=landed.model)
