"""Catalogue: the products at any version, how good their pictures are, what changed, and how more are loaded."""

import streamlit as st

from app import services, state
from app.components import (
    catalogue_browser,
    catalogue_changes,
    catalogue_header,
    catalogue_history,
    catalogue_quality,
    catalogue_rejected,
    ingest_form,
    job_panel,
    load_report,
)

st.title("Catalogue")
st.caption("Your products: Twinset learns from them and answers with them.")

# 1. Load more: choose, check, decide.
names = services.catalogues()
if not names:
    st.info("There is no catalogue yet. Load one of the sources below.", icon=":material/inventory_2:")
state.open_load_form(is_empty=not names)
with st.expander("Load products", key=state.LOAD_FORM, icon=":material/download:", on_change="rerun"):
    request = ingest_form.show()
if request:
    job_panel.submit(request)
    state.note(state.LOAD_FORM, about=True)
    st.rerun()  # with the form closed, so that what comes of it is in sight
job_panel.show_latest("catalogue", "commit", "quality", "splits", "restore", "tidy", page="catalogue")
load_report.show_waiting()
if not names:
    st.stop()

# 2. One catalogue at one version.
summary = catalogue_header.choose(names)
catalogue_header.show_figures(summary)
newest = services.snapshot(summary.name).version

views = ["Products", "Labels", "Quality", "Changes", "History", "Rejected"]
products, labels, quality, changes, history, rejected = st.tabs(views, key="view", bind="query-params")
if products.open:
    with products:
        catalogue_browser.show_products(summary)
if labels.open:
    with labels:
        catalogue_browser.show_labels(summary, is_newest=summary.version == newest)
if quality.open:
    with quality:
        catalogue_quality.show(summary, is_newest=summary.version == newest)
if changes.open:
    with changes:
        catalogue_changes.show(summary)
if history.open:
    with history:
        catalogue_history.show(summary, newest=newest)
if rejected.open:
    with rejected:
        catalogue_rejected.show(summary)
