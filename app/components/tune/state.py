"""Which trials a session has picked on the Tune page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRIALS = "picked_trials_"


def picked_trials(sweep: str) -> tuple[int, ...]:
    """The trials of a sweep that were picked in a plot or in the table; empty when none were."""
    found: tuple[int, ...] = st.session_state.get(f"{_TRIALS}{sweep}", ())
    return found


def pick_trials(sweep: str, numbers: Sequence[int]) -> None:
    """Pick trials of a sweep, or none."""
    st.session_state[f"{_TRIALS}{sweep}"] = tuple(numbers)


def pick_trials_in_chart(sweep: str, chart: str) -> None:
    """Pick the trials whose marks were just chosen in a chart; for callbacks only.

    A chart that is redrawn, because others pale, tells that nothing is chosen: that is no wish.
    """
    points = st.session_state[chart]["selection"]["points"]
    if numbers := sorted({int(point["customdata"][0]) for point in points if point.get("customdata")}):
        pick_trials(sweep, numbers)
