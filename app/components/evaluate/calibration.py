"""What a similarity is worth: the probability of the same kind, from where on an answer is a match, and how well it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import words
from app.components.evaluate import charts as evaluate_charts
from app.components.shared import charts

if TYPE_CHECKING:
    from backend.evaluation.report import CalibrationReport, Evaluation


def show(report: Evaluation) -> None:
    """Show the calibration, or why there is none."""
    found = report.calibration
    if found is None:
        st.info(
            "The similarity could not be calibrated: the catalogue has too few validation products.",
            icon=":material/straighten:",
        )
        return
    st.markdown(words.plain(sentence(found)))
    _figures(found)
    left, right = st.columns(2)
    with left:
        figure = evaluate_charts.probability(found.curve, found.threshold)
        charts.show(figure, key="probability", alt="Probability of the same label by similarity")
    with right:
        figure = evaluate_charts.reliability(found.reliability)
        charts.show(
            figure, key="reliability", alt="Reliability diagram: predicted probability against observed frequency"
        )
    st.caption(f"Fitted on {words.count(found.validation_queries, 'validation product')}; tested on the test products.")


def sentence(found: CalibrationReport) -> str:
    """Say from where on an answer is a match."""
    target = words.percent(found.precision_target)
    if found.threshold is None:
        return f"No similarity reaches a precision of {target}, so nothing is called a match."
    aim = f"The match threshold is a similarity of {found.threshold:.3f}, chosen on the validation products"
    asked = f"{words.percent(found.test_answered)} of the test products get a match"
    told = f"{aim} for a precision of {target}; answers below it are called related, or nothing close. {asked}"
    if found.test_precision is None:
        return f"{told}."
    short = ", below the target" if found.test_precision < found.precision_target else ""
    return f"{told}, and {words.percent(found.test_precision, digits=1)} of these are correct{short}."


def _figures(found: CalibrationReport) -> None:
    with st.container(horizontal=True):
        st.metric(
            "Calibration error",
            words.percent(found.ece, digits=1),
            border=True,
            help="Average gap between predicted probability and observed frequency (ECE). Lower is better.",
        )
        if found.auroc_unknown is not None:
            st.metric(
                "Seen or unseen class",
                words.percent(found.auroc_unknown, digits=1),
                border=True,
                help="How often a product of a seen class is closer to its nearest neighbour than one of an unseen "
                "class (AUROC). 50 % is chance.",
            )
        if found.unknown_refused is not None:
            st.metric(
                "Unseen classes rejected",
                words.percent(found.unknown_refused, digits=1),
                border=True,
                help="The share of products of unseen classes that are correctly reported as no match.",
            )
