"""Two sweeps side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import words
from app.components.shared import charts
from app.components.train import fields as train_fields
from app.components.tune import charts as tune_charts
from app.components.tune import words as tune_words
from app.services import tuning

if TYPE_CHECKING:
    from collections.abc import Mapping


def show() -> None:
    """Let two sweeps be chosen and show what each found, and how soon."""
    names = tuning.names()
    if len(names) < 2:
        st.info("There is nothing to compare yet: a comparison needs two sweeps.", icon=":material/compare_arrows:")
        return
    with st.grid(min_column_width=240):
        first = st.selectbox("Sweep", names, index=1, key="compare_first")
        second = st.selectbox("Compared with", names, index=0, key="compare_second")
    if first == second:
        st.info("These are the same sweep. Choose another one.", icon=":material/compare_arrows:")
        return
    found = tuning.compared(first, second)
    for note in found["notes"]:
        st.warning(words.prose(note), icon=":material/info:")
    st.markdown(words.plain(sentence(found)))
    charts.table(rows(found), key="compared_sweeps")
    trials = {name: tuning.sweep(name).trials for name in (first, second)}
    charts.show(tune_charts.growth(trials), key="growth", alt="Best figure so far of both sweeps, over minutes")


def sentence(found: Mapping[str, Any]) -> str:
    """Say which one found the better figure."""
    first, second, apart = found["first"], found["second"], found["difference"]
    if apart is None:
        return "One of them has no figure yet."
    if apart == 0:
        return f"Both reached {tune_words.figure(first['best_value'])}."
    better, other = (second, first) if apart > 0 else (first, second)
    return f"{better['sweep']} reached {tune_words.figure(better['best_value'])}, {abs(apart) * 100:.2f} points more than {other['sweep']}."


def rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return one row a fact, both sweeps beside each other."""
    sides = [found["first"], found["second"]]
    facts = {
        "Best figure": [tune_words.figure(side["best_value"]) for side in sides],
        "Best trial": [str(side["best_trial"] or "") for side in sides],
        "Catalogue": [f"{side['catalogue']}, version {side['version']}" for side in sides],
        "Counts": [side["objective"] for side in sides],
        "Values chosen": [tune_words.ALGORITHMS[side["algorithm"]] for side in sides],
        "Halving": [str(side["halving"]) for side in sides],
        "Trials": [f"{side['trials']}, {side['failed']} failed" for side in sides],
        "Epochs trained": [words.count(side["epochs"]) for side in sides],
        "Ran for": [words.duration(side["seconds"]) for side in sides],
    }
    fields = dict.fromkeys(name for side in sides for name in side["best_values"])
    facts |= {
        f"Best: {train_fields.title(name)}": [
            tune_words.value(name, side["best_values"][name]) if name in side["best_values"] else "" for side in sides
        ]
        for name in fields
    }
    return [{"": fact, sides[0]["sweep"]: one, sides[1]["sweep"]: other} for fact, (one, other) in facts.items()]
