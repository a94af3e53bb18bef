"""Jobs: everything that runs or ran, one of them in full, and what recurs."""

import streamlit as st

from app.components.jobs import calendar, listing

st.title("Jobs")
st.caption(
    "Long tasks run in the background: you can close this page and find them here later. Select a row to see the "
    "whole job."
)
jobs, recurring = st.tabs(["Jobs", "Schedules"])
with jobs:
    listing.show()
with recurring:
    calendar.show()
