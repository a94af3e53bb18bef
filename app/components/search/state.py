"""The part of the photo that counts, in the address line; nobody else touches it but a new question, which drops it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.state import REGION
from backend.errors import ImageRejected
from backend.imaging.region import Region

if TYPE_CHECKING:
    from collections.abc import Sequence


def region() -> Region | None:
    """The part that counts; None for all of the photo, also where the address names none that can be."""
    try:
        return Region.read(st.query_params.get(REGION, ""))
    except ImageRejected:
        return None


def choose(edges: Sequence[float]) -> None:
    """Have a part count, by its edges: left, top, right, bottom; without any, all of the photo."""
    if edges:
        st.query_params[REGION] = str(Region.of(edges))
    else:
        st.query_params.pop(REGION, None)


def sent(photo: str) -> Sequence[float] | None:
    """The edges that were just chosen on a photo, none for all of it; None where nothing was."""
    value = st.session_state.get(photo)
    return value.get("region") if value is not None else None
