"""The plots of a sweep, in tabs; a pick in one of them is a pick in all."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import words
from app.components.shared import charts
from app.components.train import fields
from app.components.tune import charts as tune_charts
from app.components.tune import state
from backend.tuning.importance import FEWEST, importances

if TYPE_CHECKING:
    from app.services.tuning import Sweep

VIEWS = ("History", "Fields together", "Field by field", "Epochs", "Timeline")


def show(found: Sweep) -> None:
    """Show one of the plots."""
    if not any(trial.epochs for trial in found.trials):
        return
    views = dict(zip(VIEWS, (_history, _together, _by_field, _epochs, _timeline), strict=True))
    view = st.segmented_control("Plot", VIEWS, default=VIEWS[0], key=f"plot_{found.name}", label_visibility="collapsed")
    views[view or VIEWS[0]](found)


def _history(found: Sweep) -> None:
    _selectable(found, tune_charts.history(found.trials, state.picked_trials(found.name)), "history")
    shares = importances(found.plan.space, found.trials)
    if not shares:
        st.caption(f"Parameter importance appears after {FEWEST} finished trials.")
        return
    charts.show(
        tune_charts.importance(shares),
        key=f"importance_{found.name}",
        alt="Share of the variance of the figures that each field explains",
    )
    st.caption(
        "The share of the variance between trials that each field explains alone. With few trials it is unreliable."
    )


def _together(found: Sweep) -> None:
    if not any(trial.value is not None for trial in found.trials):
        st.caption("No trial has finished yet.")
        return
    figure = tune_charts.parallel(found.plan, found.trials, state.picked_trials(found.name))
    charts.show(figure, key=f"parallel_{found.name}", alt="A line for each trial through its values to its figure")
    st.caption("Each line is a trial. Drag along an axis to see only the trials that pass there.")


def _by_field(found: Sweep) -> None:
    chosen = state.picked_trials(found.name)
    with st.grid(min_column_width=280):
        for name in found.plan.space.dimensions:
            figure = tune_charts.one_slice(found.plan, name, found.trials, chosen)
            _selectable(found, figure, f"slice_{name}", alt=f"Figures of trials over {fields.title(name)}")


def _epochs(found: Sweep) -> None:
    figure = tune_charts.curves(found.trials, state.picked_trials(found.name))
    charts.show(figure, key=f"epochs_{found.name}", alt="Figures of trials, epoch by epoch")


def _timeline(found: Sweep) -> None:
    figure = tune_charts.timeline(found.trials, now=time.time())
    charts.show(figure, key=f"timeline_{found.name}", alt="When each trial ran")


def _selectable(
    found: Sweep, figure: Any, part: str, *, alt: str = "Figures of trials in the order they finished"
) -> None:
    key = f"{part}_{found.name}"
    picked = partial(state.pick_trials_in_chart, found.name, key)
    charts.show(figure, key=key, alt=alt, on_select=picked, mode=("points", "box", "lasso"))
    if part == "history":  # once is enough
        st.caption(words.plain("Draw a box around points to select their trials in the table below and in all plots."))
