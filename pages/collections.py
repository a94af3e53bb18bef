"""Collections: products put together in an order, with comments, approved, and used as filter, question, pins or files."""

import streamlit as st

from app import notices
from app.components.catalogue import picker
from app.components.collections import listing, one, state
from app.components.rules import person
from app.components.rules import state as rule_state
from app.services.shop import collections
from backend.errors import CatalogueNotFound

st.title("Collections")
st.caption("Products you put together: in order, with comments, approved, and ready to print.")
rule_state.show_said()

names = picker.require()

# 1. Whose collections, and who edits them.
with st.container(horizontal=True, vertical_alignment="bottom"):
    catalogue = picker.choose(names, width=240)
    editor = person.ask()

# 2. One of them, or all.
with notices.guarded():
    seen = collections.found(catalogue)
    try:
        opened = seen.get(state.opened()) if state.opened() else None
    except CatalogueNotFound as error:
        notices.show(error)
        opened = None
    if opened is not None:
        one.show(catalogue, editor, seen, opened)
    else:
        listing.show(catalogue, editor, seen)
