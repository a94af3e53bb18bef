"""Train: teach a model which products of a catalogue look alike."""

import streamlit as st

from app import navigation, services, training_services, words
from app.components import catalogue_picker, job_panel, train_form, train_unfinished, train_workers

st.title("Train")
st.caption("A model learns from the labels of a catalogue which pictures belong together.")

names = services.catalogues()
if not names:
    st.info("There is no catalogue to train on yet.", icon=":material/inventory_2:")
    navigation.link("catalogue", "Load products")
    st.stop()

catalogue = catalogue_picker.choose(names)
version = services.snapshot(catalogue).version
st.caption(f"Version {version:d} of {words.plain(catalogue)}, the newest, will be recorded with the model.")

workers = train_workers.choose()
preset = services.fitting_preset(catalogue, version)
config = train_form.show(catalogue, version, default_preset=preset, workers=workers)
if config:
    job_panel.submit(training_services.request(catalogue, version, config, workers=workers))
train_unfinished.show()
job_panel.show_latest("train", "delete")
