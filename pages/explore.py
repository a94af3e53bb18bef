"""Explore: a map of the products as a model sees them, and what can be done with what is found there."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from app import notices
from app.components.evaluate import state
from app.components.explore import compare, form, insight, lists, view
from app.components.jobs import panel
from app.components.shared import model_picker
from app.services import explore

st.title("Explore")
st.caption("Each dot is a product; products that the model finds similar are close together.")

# 1. Which model, and a map of it.
model = model_picker.choose()
if model is None:
    st.stop()
if model.index is None:
    state.show_no_index()
    st.stop()
if (request := form.show(model, explore.newest_map(model))) is not None:
    panel.submit(request)
panel.show_latest("project", page="explore")

# 2. What can be seen on it, and beside it.
views: dict[str, Callable[[], None]] = {
    "Map": partial(view.show, model),
    "Lists": lists.show,
    "Outliers": partial(insight.show_outliers, model),
    "Overlap": partial(insight.show_overlap, model),
    "Hubs": partial(insight.show_hubs, model),
    "Near duplicates": partial(insight.show_duplicates, model),
    "Two models": partial(compare.show, model),
}
tabs = st.tabs(list(views), key="view", bind="query-params")
for tab, show in zip(tabs, views.values(), strict=True):
    if tab.open:
        with tab, notices.guarded():
            show()
