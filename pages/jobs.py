"""Jobs: everything that runs or ran, and one of them in full."""

import streamlit as st

from app.components.jobs import listing

st.title("Jobs")
st.caption("Long work runs on its own: close this page and find it here again. Tick a row to see that job in full.")
listing.show()
