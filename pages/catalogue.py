"""Catalogue: the products at any version, how good their pictures are, what changed, and how more are loaded."""

from functools import partial

import streamlit as st

from app import state
from app.components.catalogue import browser, export, find_similar, header, renewal, similar
from app.components.catalogue import changes as catalogue_changes
from app.components.catalogue import history as catalogue_history
from app.components.catalogue import quality as catalogue_quality
from app.components.catalogue import rejected as catalogue_rejected
from app.components.jobs import panel
from app.components.loading import form, report
from app.services import common

st.title("Catalogue")
st.caption("Your products: Twinset learns from them and answers with them.")

# 1. Load more: choose, check, decide.
names = common.catalogues()
if not names:
    st.info("There is no catalogue yet. Load one of the sources below.", icon=":material/inventory_2:")
state.open_load_form(is_empty=not names)
with st.expander("Load products", key=state.LOAD_FORM, icon=":material/download:", on_change="rerun"):
    request = form.show()
if request:
    panel.submit(request)
    state.note(state.LOAD_FORM, about=True)
    st.rerun()  # with the form closed, so that what comes of it is in sight
panel.show_latest(
    "catalogue", "fetch", "export", "renew", "commit", "quality", "splits", "restore", "tidy", page="catalogue"
)
report.show_waiting()
if not names:
    st.stop()

# 2. One catalogue at one version.
summary = header.choose(names)
header.show_figures(summary)
find_similar.show(summary.name)
renewal.show(summary.name)
export.show(summary.name)
similar.show(summary.name)
newest = common.snapshot(summary.name).version

views = {
    "Products": partial(browser.show_products, summary),
    "Labels": partial(browser.show_labels, summary, is_newest=summary.version == newest),
    "Quality": partial(catalogue_quality.show, summary, is_newest=summary.version == newest),
    "Changes": partial(catalogue_changes.show, summary),
    "History": partial(catalogue_history.show, summary, newest=newest),
    "Rejected": partial(catalogue_rejected.show, summary),
}
if not summary.labels:
    del views["Labels"]
for view, tab in zip(views.values(), st.tabs(list(views), key="view", bind="query-params"), strict=True):
    if tab.open:
        with tab:
            view()
