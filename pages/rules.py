"""Rules: what changes answers on purpose, as a draft until it is published, with a history that can be undone."""

from functools import partial

import streamlit as st

from app import notices
from app.components.catalogue import picker
from app.components.rules import editing, files, history, listing, person, side_by_side, state

st.title("Rules")
st.caption("Pin, boost, bury or block products in answers. Nothing changes for shoppers before you publish.")
state.show_said()

names = picker.require()

# 1. Whose rules, and who edits them.
with st.container(horizontal=True, vertical_alignment="bottom"):
    catalogue = picker.choose(names, width=240)
    editor = person.ask()
if not editor:
    st.info("Enter your name to make or change rules.", icon=":material/badge:")

# 2. The draft, and the rule that is being edited. Where the rules are damaged, the history is the way back.
shown = editing.Shown()
with notices.guarded():
    shown = editing.show(catalogue, editor)

# 3. What there is.
views = {
    "Rules": partial(listing.show, catalogue, editor, shown.rules, shown.drafted),
    "Side by side": partial(side_by_side.show, catalogue, editor),
    "History": partial(history.show, catalogue, editor),
    "Import and export": partial(files.show, catalogue, editor),
}
for view, tab in zip(views.values(), st.tabs(list(views), key="rules_view", on_change="rerun"), strict=True):
    if tab.open:
        with tab, notices.guarded():
            view()
