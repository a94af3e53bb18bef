"""Evaluate: how often a model's nearest products are the right ones, on products it never saw."""

from functools import partial

import streamlit as st

from app.components import (
    evaluate_calibration,
    evaluate_compare,
    evaluate_form,
    evaluate_pairs,
    evaluate_queries,
    evaluate_state,
    evaluate_tables,
    job_panel,
    model_picker,
)

st.title("Evaluate")
st.caption("Each product of the test split is asked about; a neighbour with the same label counts as right.")

# 1. Which model, and what to measure of it.
model = model_picker.choose()
if model is None:
    st.stop()
if model.index is None:
    evaluate_state.show_no_index()
elif (request := evaluate_form.show(model)) is not None:
    job_panel.submit(request)
job_panel.show_latest("evaluate", page="evaluate")

# 2. What was found.
report = evaluate_state.report(model)
if report is None:
    st.stop()
views = {
    "Overview": partial(evaluate_tables.show_overview, report),
    "Labels": partial(evaluate_tables.show_labels, report),
    "Mistakes": partial(evaluate_pairs.show, model, report),
    "Worst": partial(evaluate_queries.show, model, report),
    "Changed pictures": partial(evaluate_tables.show_robustness, report),
    "New kinds": partial(evaluate_tables.show_unseen, report),
    "Match or not": partial(evaluate_calibration.show, report),
    "Two models": partial(evaluate_compare.show, model, report),
}
tabs = st.tabs(list(views), key="view", bind="query-params")
for tab, show in zip(tabs, views.values(), strict=True):
    if tab.open:
        with tab:
            show()
