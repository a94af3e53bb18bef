"""Jobs: everything that runs or ran, and one of them in full."""

import streamlit as st

from app.components.jobs import listing

st.title("Jobs")
st.caption(
    "Long tasks run in the background: you can close this page and find them here later. Select a row to see the "
    "whole job."
)
listing.show()
