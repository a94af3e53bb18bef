"""Catalogue: the products, their pictures, what was rejected, and how more are loaded."""

import streamlit as st

from app import services, words
from app.components import catalogue_browser, charts, ingest_form, job_panel

st.title("Catalogue")
st.caption("The products that models learn from and answers are taken from.")

names = services.catalogues()
if not names:
    st.info("There is no catalogue yet. Load one of the sources below.", icon=":material/inventory_2:")
with st.expander("Load products", expanded=not names, icon=":material/download:"):
    request = ingest_form.show()
if request:
    job_panel.submit(request)
job_panel.show_latest("catalogue")
if not names:
    st.stop()

name = st.selectbox("Catalogue", names, key="catalogue", bind="query-params", width=320)
snapshot = services.snapshot(name)
summary = services.summary(name, snapshot.version)

committed = words.moment(summary.committed_at)
with st.container(horizontal=True):
    st.metric("Products", words.count(summary.rows), border=True)
    st.metric("Labels", words.count(len(summary.by_label)), border=True)
    st.metric("Version", summary.version, border=True, help=f"One a load; this one is of {committed}.")
    for split, title in charts.SPLIT_TITLES.items():
        if summary.by_split.get(split):
            st.metric(title, words.count(summary.by_split[split]), border=True)
    st.metric("Rejected", words.count(summary.quarantined), border=True)

products, labels, rejected = st.tabs(["Products", "Labels", "Rejected"], key="view", bind="query-params")
if products.open:
    with products:
        catalogue_browser.show_products(summary)
if labels.open:
    with labels:
        charts.show(charts.class_counts(summary), key="labels", alt="How many products each label has, by split")
if rejected.open:
    with rejected:
        catalogue_browser.show_rejected(summary)
