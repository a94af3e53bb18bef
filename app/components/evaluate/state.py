"""Which report a model has, if any: not indexed, not evaluated, evaluated before the report existed, or out of date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, notices, words
from app.components.shared import model_picker
from app.services import evaluation
from backend.errors import EvaluationError
from backend.evaluation.protocol import AT, PROTOCOL

if TYPE_CHECKING:
    from backend.bundles.bundle import Manifest
    from backend.evaluation.report import Evaluation

RECALL = {1: "Recall@1", 10: "Recall@10", 100: "Recall@100"}
RECALL_HELP = "The share of test products that have one of the same label among so many nearest ones."


def show_no_index() -> None:
    """Say that there is nothing to search yet, and where that is changed."""
    st.info("This model has no index yet; without one there is nothing to search.", icon=":material/account_tree:")
    navigation.link("deploy", "Build its index")


def report(model: Manifest) -> Evaluation | None:
    """Return the report of a model; where there is none, say so and show what is known all the same."""
    try:
        found = evaluation.report(model)
    except EvaluationError as error:
        notices.show(error)
        found = None
    if found is None:
        _show_figures(model)
    elif evaluation.is_of_another_model(model, found):
        st.warning(
            "These figures are for an earlier index of this model. Evaluate it again for current ones.",
            icon=":material/history:",
        )
    return found


def _show_figures(model: Manifest) -> None:
    if found := {k: model.metrics[name] for k in AT if (name := f"{PROTOCOL}{k}") in model.metrics}:
        _show_recall(found)
        return
    scores = model_picker.scores(model)
    if not scores:
        st.caption("Not evaluated yet.")
        return
    with st.container(horizontal=True):
        for title, value in scores.items():
            st.metric(title, words.percent(value, digits=1), border=True, help=model_picker.METRIC_HELP[title])
    st.caption("Evaluate this model again for confidence intervals and an error analysis.")


def _show_recall(found: dict[int, float]) -> None:
    """Show the share of test products that have one of their label among their k nearest, by k."""
    with st.container(horizontal=True):
        for k, share in found.items():
            st.metric(RECALL[k], words.percent(share, digits=1), border=True, help=RECALL_HELP)
    st.caption(
        "Measured by the protocol of this data set: the model has learnt none of the labels of the test products."
    )
