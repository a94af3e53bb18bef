"""A clicked product: its true neighbours in the full space beside its neighbours on the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app import navigation, state, words
from app.components.explore import map as explore_map
from app.components.explore import state as explore_state
from app.components.shared import product_grid
from app.components.shared.product_grid import Card
from app.services import evaluation, explore
from backend.projection.worth import map_neighbours

if TYPE_CHECKING:
    from app.components.explore.map import Above
    from app.services.explore import Drawn

NEIGHBOURS = 10


def draw(found: Drawn, above: Above) -> None:
    """Draw lines to the neighbours of the product shown, if there is one."""
    at = _position(found)
    if at is None:
        return
    true, on_map = neighbours(found, at)
    above.link(at, on_map, explore_map.MAP_COLOUR, "dot")
    above.link(at, [position for position, _ in true], explore_map.TRUE_COLOUR)
    above.ring(at)


def show(found: Drawn) -> None:
    """Show both kinds of neighbours of the product shown, if there is one."""
    at = _position(found)
    if at is None:
        if explore_state.point():
            st.info(f"The gallery has no product {words.plain(explore_state.point())}.", icon=":material/search_off:")
        return
    true, on_map = neighbours(found, at)
    near = [position for position, _ in true]
    shared = len(set(near) & set(on_map))
    with st.container(border=True, key="explore_point"):
        with st.container(horizontal=True, vertical_alignment="center"):
            name = str(found.points.ids[at])
            st.markdown(f"**{words.plain(found.points.titles[at] or name)}**", width="stretch")
            navigation.link("recommend", "Find similar", {state.PRODUCT: name})
            st.button(
                "Close",
                icon=":material/close:",
                key="explore_point_close",
                on_click=explore_state.show_point,
                args=("",),
            )
        st.caption(
            f"{shared} of its {len(near)} true neighbours (solid lines) are among its {len(on_map)} neighbours on the "
            "map (dotted). Where they differ, the model's neighbours are what is recommended."
        )
        _grid(found, at, true, on_map)


def neighbours(found: Drawn, at: int) -> tuple[list[tuple[int, float]], list[int]]:
    """Return a product's true neighbours with similarities, and its neighbours on the map, by position."""
    k = min(NEIGHBOURS, len(found.points.ids) - 1)
    true = found.reading.near(np.asarray(found.reading.vectors[at]), k, but=at)
    on_map = map_neighbours(found.arranged.positions, np.asarray([at]), k)[0]
    return true, [int(position) for position in on_map]


def _grid(found: Drawn, at: int, true: list[tuple[int, float]], on_map: list[int]) -> None:
    near = {position for position, _ in true}
    shown = [at, *near, *on_map]
    pictures = evaluation.pictures(
        explore.catalogue_of(found.reading), tuple(str(found.points.ids[one]) for one in dict.fromkeys(shown))
    )

    def card(position: int, group: str, **more: object) -> Card:
        name = str(found.points.ids[position])
        product = pictures.get(name)
        title = str(found.points.titles[position]) or words.label(str(found.points.labels[position]))
        line = " · ".join((words.label(str(found.points.labels[position])), name))
        return Card(name, product.image if product else None, title, (line,), group=group, **more)  # type: ignore[arg-type]

    cards = [card(at, "True neighbours", badges=("Clicked",))]
    cards += [
        card(position, "True neighbours", rank=rank, similarity=similar, distance=1 - similar)
        for rank, (position, similar) in enumerate(true, 1)
    ]
    cards += [
        card(position, "Neighbours on the map", rank=rank, badges=() if position in near else ("Only on the map",))
        for rank, position in enumerate(on_map, 1)
    ]
    product_grid.show(
        cards,
        key="explore_neighbours",
        action="Show its neighbours",
        on_pick=explore_state.show_point,
        details=found.reading.catalogue[0],
    )


def _position(found: Drawn) -> int | None:
    name = explore_state.point()
    at = int(np.searchsorted(found.points.ids, name)) if name else len(found.points.ids)
    return at if at < len(found.points.ids) and found.points.ids[at] == name else None
