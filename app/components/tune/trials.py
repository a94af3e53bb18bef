"""The trials of a sweep as a table, those that were picked in full below it, and all of them as a file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import navigation, state, words
from app.components.jobs import panel
from app.components.shared import download
from app.components.train import fields
from app.components.tune import state as tune_state
from app.components.tune import words as tune_words
from app.services import tuning
from backend.tuning.records import TrialState

if TYPE_CHECKING:
    from app.services.tuning import Sweep
    from backend.tuning.records import TrialRecord
    from backend.tuning.report import Format

SHOWN_IN_FULL = 3


def show(found: Sweep) -> None:
    """Show all trials, or those that were picked in a plot."""
    if not found.trials:
        st.caption("The first trials are about to start.")
        return
    chosen = tune_state.picked_trials(found.name)
    shown = [trial for trial in found.trials if not chosen or trial.number in chosen]
    if chosen:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{words.count(len(shown), 'trial')} picked", width="content")
            st.button(
                "Show all",
                key="trials_all",
                icon=":material/close:",
                on_click=tune_state.pick_trials,
                args=(found.name, ()),
            )
    _table(found, shown)
    for trial in shown[:SHOWN_IN_FULL] if chosen else ():
        _one(found, trial)
    _export(found)


def _table(found: Sweep, shown: list[TrialRecord]) -> None:
    rows = [_row(found, trial) for trial in shown]
    key = f"trials_{found.name}_{'picked' if len(shown) < len(found.trials) else 'all'}"
    numbers = [trial.number for trial in shown]

    def ticked() -> None:
        tune_state.pick_trials(
            found.name, tuple(numbers[row] for row in state.selected_rows(key) if row < len(numbers))
        )

    st.dataframe(
        {name: [row[name] for row in rows] for name in rows[0]},
        hide_index=True,
        key=key,
        on_select=ticked,
        selection_mode="multi-row",
        placeholder="",
        alt="Trials of the sweep",
        column_config={"Figure": st.column_config.NumberColumn(format="percent")},
    )


def _row(found: Sweep, trial: TrialRecord) -> dict[str, Any]:
    values = {fields.title(name): tune_words.value(name, value) for name, value in trial.values.items()}
    is_stale = trial.state is TrialState.RUNNING and not found.is_running
    return {
        "Trial": trial.number,
        "State": tune_words.STATES[TrialState.INTERRUPTED if is_stale else trial.state],
        "Figure": trial.value if trial.value is not None else trial.so_far,
        "Epochs": f"{len(trial.epochs)} of {trial.planned_epochs}",
        "Took": words.duration(trial.seconds) if trial.seconds else "",
        **values,
        "Why": trial.reason,
    }


def _one(found: Sweep, trial: TrialRecord) -> None:
    with st.container(border=True, key=f"trial_{trial.number}"):
        st.markdown(
            f"**Trial {trial.number:d}** · {tune_words.STATES[trial.state]} · {tune_words.figure(trial.value)}".rstrip(
                " ·"
            )
        )
        st.caption(f"{words.plain(tune_words.values(trial.values))} · seed {trial.seed:d}")
        if trial.reason:
            st.markdown(words.prose(f"{trial.reason} {trial.next_step}".strip()))
        st.caption(
            words.prose(f"Run it again on its own with `python -m backend tune trial {found.name} {trial.number}`")
        )
        is_best = found.best is not None and trial.number == found.best.number
        if trial.state.has_value and not is_best:
            final(found, trial.number)


def final(found: Sweep, number: int) -> None:
    """Offer to train a model with the values of a trial."""
    if st.button("Train a final model with these values", key=f"final_{number}", icon=":material/model_training:"):
        panel.submit(tuning.final(found, number))
        navigation.link("train", "View the training", {"catalogue": found.plan.catalogue})


def _export(found: Sweep) -> None:
    with st.container(horizontal=True):
        forms: dict[Format, str] = {"csv": "text/csv", "json": "application/json"}
        for form, mime in forms.items():
            make = partial(tuning.exported, found.name, form)
            download.show(f"Trials as {form.upper()}", make, f"{found.name}.{form}", mime, key=f"export_{form}")
