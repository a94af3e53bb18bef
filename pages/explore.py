"""Explore: a map of the products as a model sees them, and what can be done with what is found there."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from app import explore_services, notices
from app.components import (
    evaluate_state,
    explore_compare,
    explore_form,
    explore_insight,
    explore_lists,
    explore_view,
    job_panel,
    model_picker,
)

st.title("Explore")
st.caption("Every dot is a product; products that the model finds alike stand together.")

# 1. Which model, and a map of it.
model = model_picker.choose()
if model is None:
    st.stop()
if model.index is None:
    evaluate_state.show_no_index()
    st.stop()
if (request := explore_form.show(model, explore_services.newest_map(model))) is not None:
    job_panel.submit(request)
job_panel.show_latest("project", page="explore")

# 2. What can be seen on it, and beside it.
views: dict[str, Callable[[], None]] = {
    "Map": partial(explore_view.show, model),
    "Lists": explore_lists.show,
    "Outliers": partial(explore_insight.show_outliers, model),
    "Overlap": partial(explore_insight.show_overlap, model),
    "Hubs": partial(explore_insight.show_hubs, model),
    "Near duplicates": partial(explore_insight.show_duplicates, model),
    "Two models": partial(explore_compare.show, model),
}
tabs = st.tabs(list(views), key="view", bind="query-params")
for tab, show in zip(tabs, views.values(), strict=True):
    if tab.open:
        with tab, notices.guarded():
            show()
