"""One sweep, live: how far it is, what can be done about it, the best trial, and all that is known of the others.

The view polls the sweep's folder inside a fragment while it runs. Trials that are picked in a plot are picked in the table
and in all plots, and the other way round.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from app import notices, state, words
from app.components.jobs import panel
from app.components.shared import removal
from app.components.tune import plots
from app.components.tune import trials as tune_trials
from app.components.tune import words as tune_words
from app.services import tuning
from backend.flow.requests import DeleteRequest
from backend.tuning.plan import MOST_TRIALS

if TYPE_CHECKING:
    from app.services.tuning import Sweep

POLL_S = 2.0


def choose() -> str:
    """Let a sweep be chosen, the newest first; without any, say so and return nothing."""
    names = tuning.names()
    if not names:
        st.info("There is no sweep yet. Start one under New sweep.", icon=":material/tune:")
        return ""
    state.start_with("sweep", names[0], names)
    return str(st.selectbox("Sweep", names, key="sweep", bind="query-params", width=420))


def show(name: str) -> None:
    """Show one sweep, polling while it has not ended."""
    found = tuning.sweep(name)
    is_live = found.is_running or found.job is not None
    st.fragment(_polled, run_every=POLL_S if is_live else None)(name, is_live=is_live)


def _polled(name: str, *, is_live: bool) -> None:
    with notices.guarded():
        found = tuning.sweep(name)
        if is_live and not (found.is_running or found.job is not None):
            st.rerun()  # what can be done about it has changed
        _heading(found)
        _figures(found)
        _best(found)
        plots.show(found)
        tune_trials.show(found)


def _heading(found: Sweep) -> None:
    title, icon, colour = tune_words.PHASES[tune_words.phase(found)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{words.plain(found.name)}**", width="content")
        st.badge(title, icon=icon, color=colour)
        _controls(found)
    of = f"{words.plain(found.plan.catalogue)}, version {found.plan.version:d}"
    st.caption(f"On {of} · {words.plain(found.plan.objective.sentence())}")
    status = found.status
    if not found.is_running and found.job is None:
        if status.phase == "failed":
            st.error(notices.sentence(status.reason, status.next_step), icon=":material/error:")
        elif status.phase == "running":
            said = "Its process was killed or crashed. All finished trials are kept."
            st.warning(f"{said}\n\nResume it; trials that were running start again.", icon=":material/link_off:")
        elif status.reason:
            st.caption(words.prose(status.reason))


def _controls(found: Sweep) -> None:
    if found.is_running:
        pausing = st.button(
            "Pause",
            key="sweep_pause",
            icon=":material/pause:",
            disabled=found.is_pausing,
            help="Running trials continue.",
        )
        if pausing:
            tuning.pause(found)
            st.rerun(scope="fragment")
    if found.is_running or found.job is not None:
        if st.button("Cancel", key="sweep_cancel", icon=":material/stop:"):
            tuning.cancel(found)
            st.rerun(scope="fragment")
        return
    with st.popover("Resume", icon=":material/play_arrow:"):
        budget = found.plan.budget
        least = max(found.done, 1)
        trials = st.number_input(
            "Total trials", least, MOST_TRIALS, max(budget.trials, least), key=f"resume_trials_{found.name}"
        )
        minutes = st.number_input(
            "Total minutes, 0 for no limit", 0.0, value=budget.minutes, format="%g", key=f"resume_minutes_{found.name}"
        )
        if st.button("Resume", type="primary", key="sweep_resume"):
            asked = replace(budget, trials=int(trials), minutes=float(minutes))
            panel.submit(tuning.resumption(found, asked))
            st.rerun()
    removal.offer(DeleteRequest(sweep=found.name))


def _figures(found: Sweep) -> None:
    best, status = found.best, found.status
    with st.container(horizontal=True):
        st.metric("Best so far", tune_words.figure(best.value) if best else "none yet", border=True)
        st.metric("Trials", f"{found.done:d} of {found.plan.budget.trials:d}", border=True)
        if found.is_running:
            free = max(status.slots - found.running, 0)
            st.metric("Running", f"{found.running}", f"{free} of {status.slots} slots free", "off", border=True)
            left = found.remaining_s
            ends = "not known yet" if left is None else f"in {words.duration(max(left, 1.0))}"
            st.metric("Estimated end", ends, border=True)
        st.metric("Ran for", words.duration(status.spent_s), border=True)


def _best(found: Sweep) -> None:
    best = found.best
    if best is None:
        return
    with st.container(border=True, key="best_trial"):
        st.markdown(f"**Trial {best.number:d}** is the best: {words.plain(tune_words.values(best.values))}")
        tune_trials.final(found, best.number)
