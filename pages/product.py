"""Product: everything about one of them, at an address of its own."""

import streamlit as st

from app import notices, state
from app.components.catalogue import picker
from app.components.product import facts, history, neighbours, ruled, search
from app.components.shared.product_grid import product_card
from app.services import common
from app.services.shop import product as products
from app.words import plain

title = st.empty()
title.title("Product")
names = picker.require()

# 1. Which one.
with st.container(horizontal=True, vertical_alignment="bottom"):
    catalogue = picker.choose(names, width=240)
    search.show()
product_id = state.product()
found = None
with notices.guarded():
    found = products.shown(catalogue, product_id) if product_id else None
if found is None:
    search.show_none(catalogue, product_id)
    st.stop()
title.title(plain(product_card(found.product).title))

# 2. What is known of it. All that takes longer comes below, and later.
absence = st.container()
facts.show(catalogue, found)
st.subheader("Similar products")
near = st.container()
left, right = st.columns(2, gap="large")
left.subheader("Rules")
right.subheader("History")

with notices.guarded():
    past = products.history(catalogue, common.snapshot(catalogue).version, product_id)
    with absence:
        facts.show_absence(past, is_withdrawn=found.product.is_withdrawn)
    with right:
        history.show(catalogue, product_id, past)
answer = None
with near, notices.guarded():
    answer = neighbours.answer(catalogue, found.product)
    if answer is not None:
        neighbours.show(catalogue, found.product, answer)
with left, notices.guarded():
    ruled.show(catalogue, found.product, (answer.rules.touching if answer and answer.rules else None) or ())
