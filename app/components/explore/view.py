"""The map with all that goes with it: what it is coloured by, the search, hovering, clicks and selections.

All of it is one fragment: pointing at a product runs this part again and leaves the rest of the page alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app import notices, state, words
from app.components.explore import form, payload, place, point, selection
from app.components.explore import map as explore_map
from app.components.explore import state as explore_state
from app.components.shared.product_grid import data_uri
from app.services import evaluation, explore
from backend.catalogue.prices import price_text

if TYPE_CHECKING:
    from app.services.explore import Drawn
    from backend.bundles.bundle import Manifest

KEY = "explore_map"
UMAP, FIRST_LOOK = "Map", "First look"
FLAT, SOLID = "2-D", "3-D"


def show(model: Manifest) -> None:
    """Show the map of a model."""
    st.fragment(_show)(model)


def _show(model: Manifest) -> None:
    with notices.guarded():
        info = explore.newest_map(model)
        controls = st.container(horizontal=True, vertical_alignment="bottom")
        kinds = [UMAP, FIRST_LOOK] if info else [FIRST_LOOK]
        shape = _choice(controls, "What", kinds, "shape", "The first look (principal components) needs no drawing.")
        size = _choice(controls, "Dimensions", [FLAT, SOLID], "size", "Products are selected in 2-D.")
        found = explore.drawn(model, first_look=shape != UMAP, dimensions=3 if size == SOLID else 2)
        colour = _colour(controls, found)
        _search(controls, found)
        _say_state(found, model, 3 if size == SOLID else 2)
        _draw(model, found, colour)
        place.show(found)
        point.show(found)
        selection.show(found)


def _choice(where: Any, title: str, options: list[str], key: str, help_text: str) -> str:
    with where:
        state.start_with(key, options[0], options)
        chosen: str | None = st.segmented_control(
            title,
            options,
            required=True,
            key=key,
            bind="query-params",
            help=help_text,
            on_change=explore_state.forget_camera,
        )
    return chosen or options[0]


def _colour(where: Any, found: Drawn) -> str:
    names = {column.title: name for name, column in found.points.columns.items()}
    titles = list(names)
    with where:
        state.start_with("colour", titles[0], titles)
        chosen: str = st.selectbox("Colour by", titles, key="colour", bind="query-params", width=240)
    return names[chosen]


def _search(where: Any, found: Drawn) -> None:
    def fly() -> None:
        at = first_match(found, str(state.chosen("explore_search") or ""))
        if at is None:
            st.toast("No product has that in its id, title or label.", icon=":material/search_off:")
            return
        explore_state.show_point(str(found.points.ids[at]))
        explore_state.fly()

    with where:
        st.text_input(
            "Fly to",
            key="explore_search",
            placeholder="id, title or label",
            on_change=fly,
            icon=":material/search:",
            width=220,
        )


def first_match(found: Drawn, text: str) -> int | None:
    """Return the product with this id, else the first with it in id, title or label; None where there is none."""
    wanted = text.strip().casefold()
    if not wanted:
        return None
    points = found.points
    at = int(np.searchsorted(points.ids, text.strip()))
    if at < len(points.ids) and points.ids[at] == text.strip():
        return at
    columns = (points.ids, points.titles, points.labels)
    return next((at for texts in columns for at, one in enumerate(texts) if wanted in one.casefold()), None)


def _say_state(found: Drawn, model: Manifest, dimensions: int) -> None:
    if found.info is None:
        st.caption(
            "A first look by principal components, available at once. It shows only the broad directions; draw a map "
            "to see clusters."
        )
        return
    form.show_worth(found.info, dimensions)
    placed, gone = int(found.arranged.is_placed.sum()), found.arranged.gone
    if found.info.is_of(model):
        return
    told = [
        f"{words.count(placed, 'product')} added" if placed else "",
        f"{words.count(gone)} removed" if gone else "",
    ]
    what = ", ".join(part for part in told if part) or "products changed"
    st.info(
        f"The index was rebuilt after this map was drawn: {what}. New products are placed among the others and shown "
        "as stars; draw the map again to include them.",
        icon=":material/star:",
    )


def _draw(model: Manifest, found: Drawn, colour: str) -> None:
    column = found.points.columns[colour]
    packed = payload.payload(
        found.name, found.arranged.positions, found.points.splits, found.arranged.is_placed, column
    )
    above = explore_map.Above(fly_to=_flight(found))
    point.draw(found, above)
    place.draw(found, above)
    show_drawn(
        packed,
        found,
        key=f"{KEY}-{model.name}",
        camera=explore_state.camera(packed.version),
        above=above,
        moved=explore_state.look_from,
    )


def show_drawn(packed: Any, found: Drawn, *, key: str, camera: str, above: explore_map.Above, moved: Any) -> None:
    """Draw a map whose selection, clicks and pictures are those of the page."""
    listeners = explore_map.Listeners(
        clicked=lambda at: explore_state.show_point(_id(found, at)),
        selected=lambda many: selection.select([_id(found, at) for at in many]),
        moved=moved,
    )
    pointed = state.sent(key, "hovered")
    explore_map.show(
        packed,
        key=key,
        name=found.name,
        selected=selection.positions(found),
        camera=camera,
        above=above,
        listeners=listeners,
    )
    if pointed is not None:
        hand_card(found, int(pointed[0]))


def hand_card(found: Drawn, at: int) -> None:
    """Hand picture, title and label of a hovered product to the browser."""
    name = _id(found, at)
    if not name:
        return
    product = evaluation.pictures(explore.catalogue_of(found.reading), (name,)).get(name)
    label = words.label(str(found.points.labels[at]))
    title = (product.title if product else None) or str(found.points.titles[at]) or label
    price = price_text(product) if product else ""
    lines = [line for line in (label if title != label else "", name, price) if line]
    explore_map.hand_card(found.name, at, title=title, lines=lines, src=data_uri(product.image if product else None))


def position_of(found: Drawn, product_id: str) -> list[int]:
    """Return where a product is in a gallery, in a list; an empty one where it is not there."""
    at = int(np.searchsorted(found.points.ids, product_id)) if product_id else len(found.points.ids)
    return [at] if at < len(found.points.ids) and found.points.ids[at] == product_id else []


def _flight(found: Drawn) -> tuple[int, int] | None:
    places = position_of(found, explore_state.point()) if explore_state.flights() else []
    return (places[0], explore_state.flights()) if places else None


def _id(found: Drawn, at: int) -> str:
    return str(found.points.ids[at]) if 0 <= int(at) < len(found.points.ids) else ""
