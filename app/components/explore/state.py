"""What the Explore page remembers: in the address line what a link is to show again, in the session what is but seen."""

from __future__ import annotations

from typing import Any

import streamlit as st

SELECTION = "selection"
POINT = "point"
CAMERA = "camera"
_CAMERAS = "cameras"
_FLIGHTS = "flights"
_LANDED = "landed"


def selection() -> str:
    """The short id of the selected products; empty when none are."""
    return st.query_params.get(SELECTION, "")


def select(short: str) -> None:
    """Select the products that are kept under a short id; an empty one selects none."""
    if short:
        st.query_params[SELECTION] = short
    else:
        st.query_params.pop(SELECTION, None)


def point() -> str:
    """The product whose neighbours are shown on the map; empty when there is none."""
    return st.query_params.get(POINT, "")


def show_point(product_id: str) -> None:
    """Show the neighbours of a product on the map; an empty id shows none."""
    if product_id:
        st.query_params[POINT] = product_id
    else:
        st.query_params.pop(POINT, None)


def look_from(camera: str) -> None:
    """Put what is in view of the map into the address line."""
    st.query_params[CAMERA] = camera


def camera(version: str) -> str:
    """What is in view where a drawing begins: of a drawing that is there already, what it began with.

    The map moves by itself; sending it its own camera back would send all points along.
    """
    begun: dict[str, str] = st.session_state.setdefault(_CAMERAS, {})
    if version not in begun:
        begun.clear()
        begun[version] = st.query_params.get(CAMERA, "")
    return begun[version]


def forget_camera() -> None:
    """Show all of the map again: what is shown has another shape."""
    st.query_params.pop(CAMERA, None)
    st.session_state.pop(_CAMERAS, None)


def fly() -> None:
    """Have the map fly to the product shown, once."""
    st.session_state[_FLIGHTS] = st.session_state.get(_FLIGHTS, 0) + 1


def flights() -> int:
    """How often the map was asked to fly to a product."""
    return int(st.session_state.get(_FLIGHTS, 0))


def land(photo: Any) -> None:
    """Keep what was found for a photo that is put onto the map."""
    st.session_state[_LANDED] = photo


def landed() -> Any:
    """The photo that is put onto the map; None when there is none."""
    return st.session_state.get(_LANDED)
