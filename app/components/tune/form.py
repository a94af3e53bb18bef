"""A new sweep as a form that is checked while it is filled, before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices, words
from app.components.tune import space as tune_space
from app.components.tune import words as tune_words
from app.services import common, tuning
from backend.training.presets import PRESETS
from backend.tuning.plan import ALGORITHMS, MOST_AT_A_TIME, MOST_TRIALS, Budget, Objective, SweepPlan

if TYPE_CHECKING:
    from backend.tuning.checks import SweepCheck

_USUAL = SweepPlan()


def show(catalogue: str, version: int, *, default_preset: str) -> SweepPlan | None:
    """Show the form; returns the plan when it was just sent.

    Args:
        catalogue: What trials would train on.
        version: Its version.
        default_preset: The preset that fits it.
    """
    st.subheader("Search space", anchor=False)
    names = list(PRESETS)
    preset = st.selectbox(
        "Preset",
        names,
        index=names.index(default_preset),
        key=f"tune_preset_for_{default_preset}",
        width=240,
        help="Sets every field that does not vary.",
    )
    base = PRESETS[preset]
    space = tune_space.edit(base)
    st.subheader("Objective", anchor=False)
    objective = _objective()
    st.subheader("Budget", anchor=False)
    budget = _budget()
    further = _further()
    plan = SweepPlan(further.pop("name"), catalogue, version, base, space, objective, budget, **further)
    with notices.guarded():
        found = tuning.check(plan)
        _say(found)
        if not found.problems:
            tune_space.show_examples(plan)
            st.caption(_estimated(found, plan))
        with st.container(horizontal=True):
            started = st.button(
                "Start the sweep", type="primary", icon=":material/tune:", disabled=bool(found.problems)
            )
            tune_space.offer_to_save(space)
        if started:
            return plan
    return None


def _objective() -> Objective:
    with st.grid(min_column_width=190):
        metric = st.selectbox(
            "Figure", list(tune_words.METRICS), format_func=tune_words.METRICS.__getitem__, key="tune_metric"
        )
        labels = st.selectbox(
            "Products of",
            list(tune_words.LABELS),
            format_func=tune_words.LABELS.__getitem__,
            key="tune_labels",
            help="Held-out labels show how a model will do with classes that are added later.",
        )
        share = _USUAL.objective.unseen_share
        if labels != "seen":
            share = st.number_input("Share of held-out labels", 0.05, 0.75, share, 0.05, key="tune_unseen_share")
    objective = Objective(metric, labels, share)
    st.caption(
        f"Larger is better: {words.plain(objective.sentence().removesuffix('; larger is better.'))}. The test split "
        "is not used."
    )
    return objective


def _budget() -> Budget:
    slots = tuning.slots()
    master = common.settings().spark_master
    has = f"{words.count(slots, 'slot')} on {words.plain(master)}" if slots else f"as many as {words.plain(master)} has"
    with st.grid(min_column_width=150):
        trials = st.number_input("Trials", 1, MOST_TRIALS, _USUAL.budget.trials, key="tune_trials")
        minutes = st.number_input(
            "Time limit in minutes", 0.0, 100_000.0, 0.0, 5.0, format="%g", key="tune_minutes", help="0 means no limit."
        )
        parallelism = st.number_input(
            "Trials at a time",
            0,
            MOST_AT_A_TIME,
            0,
            key="tune_parallelism",
            help=f"0 means all slots: {has}. Each trial uses one CPU core, or one GPU if there are any.",
        )
        halving = st.number_input(
            "Halving",
            0,
            10,
            _USUAL.budget.halving,
            key="tune_halving",
            help="With 3, a trial continues after 1, 3, 9 … epochs only if it is among the best third so far. 0 lets "
            "every trial run to its end.",
        )
        patience = st.number_input(
            "Patience",
            0,
            MOST_TRIALS,
            0,
            key="tune_patience",
            help="Trials without improvement after which the sweep ends; 0 means never.",
        )
    return Budget(int(trials), float(minutes), int(parallelism), int(patience), int(halving))


def _further() -> dict[str, Any]:
    with st.expander("More options", icon=":material/settings:"), st.grid(min_column_width=190):
        return {
            "name": st.text_input(
                "Name of the sweep", key="tune_name", placeholder="Generated from the current time"
            ).strip(),
            "algorithm": st.selectbox(
                "Search algorithm",
                ALGORITHMS,
                format_func=tune_words.ALGORITHMS.__getitem__,
                key="tune_algorithm",
            ),
            "engine": st.selectbox(
                "Run trials in",
                list(tune_words.ENGINES),
                format_func=tune_words.ENGINES.__getitem__,
                key="tune_engine",
            ),
            "seed": int(st.number_input("Seed", 0, 2**31 - 1, _USUAL.seed, key="tune_seed")),
        }


def _say(found: SweepCheck) -> None:
    for problem in found.problems:
        st.warning(notices.sentence(problem.message, problem.next_step), icon=":material/block:")
    for note in found.notes:
        st.info(words.prose(note), icon=":material/info:")


def _estimated(found: SweepCheck, plan: SweepPlan) -> str:
    if found.seconds is None:
        return "Time is not estimated for GPUs."
    at_a_time = plan.budget.parallelism or tuning.slots() or 1
    return (
        f"About {words.duration(found.seconds)} for {words.count(plan.budget.trials, 'trial')}, {at_a_time} at a time. "
        "Estimated from measurements on another machine; it may take half or twice as long."
    )
