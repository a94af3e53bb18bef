"""Train: teach a model which products of a catalogue look alike."""

import streamlit as st

from app import navigation, words
from app.components.catalogue import picker
from app.components.jobs import panel
from app.components.train import form, unfinished
from app.components.train import workers as train_workers
from app.services import common, training

st.title("Train")
st.caption("A model learns from the labels of a catalogue which pictures belong together.")

names = common.catalogues()
if not names:
    st.info("There is no catalogue to train on yet.", icon=":material/inventory_2:")
    navigation.link("catalogue", "Load products")
    st.stop()

catalogue = picker.choose(names)
version = common.snapshot(catalogue).version
st.caption(f"Version {version:d} of {words.plain(catalogue)}, the newest, will be recorded with the model.")

workers = train_workers.choose()
preset = common.fitting_preset(catalogue, version)
config = form.show(catalogue, version, default_preset=preset, workers=workers)
if config:
    panel.submit(training.request(catalogue, version, config, workers=workers))
unfinished.show()
panel.show_latest("train", "delete")
