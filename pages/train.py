"""Train: teach a model which products of a catalogue look alike."""

import streamlit as st

from app import navigation, services, words
from app.components import job_panel, train_form
from backend.requests import TrainRequest

st.title("Train")
st.caption("A model learns from the labels of a catalogue which pictures belong together.")

names = services.catalogues()
if not names:
    st.info("There is no catalogue to train on yet.", icon=":material/inventory_2:")
    navigation.link("catalogue", "Load products")
    st.stop()

catalogue = st.selectbox("Catalogue", names, key="catalogue", bind="query-params", width=320)
version = services.snapshot(catalogue).version
st.caption(f"Version {version} of {words.plain(catalogue)}, the newest, will be recorded with the model.")

config = train_form.show(default_preset="resnet-colour" if services.is_colour(catalogue, version) else "resnet")
if config:
    job_panel.submit(TrainRequest(catalogue=catalogue, version=version, config=config))
job_panel.show_latest("train")
