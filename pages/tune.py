"""Tune: find values for the fields of a training that make a better model."""

import streamlit as st

from app import navigation, services, tuning_services, words
from app.components import catalogue_picker, job_panel, tune_compare, tune_form, tune_sweep

st.title("Tune")
st.caption(
    "A sweep trains many small models with different values, and keeps what retrieves best on validation products."
)

names = services.catalogues()
if not names:
    st.info("There is no catalogue to train on yet.", icon=":material/inventory_2:")
    navigation.link("catalogue", "Load products")
    st.stop()

new, trials, two = st.tabs(["New sweep", "Trials", "Two sweeps"], key="view", bind="query-params")
if new.open:
    with new:
        catalogue = catalogue_picker.choose(names)
        version = services.snapshot(catalogue).version
        st.caption(f"Version {version:d} of {words.plain(catalogue)}, the newest, is what all trials train on.")
        preset = services.fitting_preset(catalogue, version)
        plan = tune_form.show(catalogue, version, default_preset=preset)
        if plan:
            job_panel.submit(tuning_services.request(plan))
        job_panel.show_latest("tune", page="tune")
if trials.open:
    with trials:
        chosen = tune_sweep.choose()
        job_panel.show_latest("delete", page="tune")
        if chosen:
            tune_sweep.show(chosen)
if two.open:
    with two:
        tune_compare.show()
