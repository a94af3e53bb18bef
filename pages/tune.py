"""Tune: find values for the fields of a training that make a better model."""

import streamlit as st

from app import navigation, words
from app.components.catalogue import picker
from app.components.jobs import panel
from app.components.tune import compare, form, sweep
from app.services import common, tuning

st.title("Tune")
st.caption(
    "A sweep trains many small models with different values, and keeps what retrieves best on validation products."
)

names = common.catalogues()
if not names:
    st.info("There is no catalogue to train on yet.", icon=":material/inventory_2:")
    navigation.link("catalogue", "Load products")
    st.stop()

new, trials, two = st.tabs(["New sweep", "Trials", "Two sweeps"], key="view", bind="query-params")
if new.open:
    with new:
        catalogue = picker.choose(names)
        version = common.snapshot(catalogue).version
        st.caption(f"All trials train on version {version:d} of {words.plain(catalogue)}, the newest.")
        preset = common.fitting_preset(catalogue, version)
        plan = form.show(catalogue, version, default_preset=preset)
        if plan:
            panel.submit(tuning.request(plan))
        panel.show_latest("tune", page="tune")
if trials.open:
    with trials:
        chosen = sweep.choose()
        panel.show_latest("delete", page="tune")
        if chosen:
            sweep.show(chosen)
if two.open:
    with two:
        compare.show()
