"""Substitutes: products in stock for those that are sold out, checked one by one; and how ready the range is."""

import streamlit as st

from app import navigation, notices
from app.components.jobs import panel
from app.components.substitutes import files, form, readiness, table
from app.services import substitutes

st.title("Substitutes")
st.caption("Find in-stock products that look like those that are sold out, check them, and use them in your shop.")

catalogue = ""
with notices.guarded():
    catalogue = substitutes.searched()
if not catalogue:
    st.info("First make it possible to find similar products in your catalogue.", icon=":material/image_search:")
    navigation.link("catalogue", "Open the catalogue")
    st.stop()

# 1. For which products, within which limits.
with notices.guarded():
    stock = substitutes.stock(catalogue)
    if not stock.is_stated:
        st.warning(
            "No product states its stock, so all count as in stock. Load a table with a column for stock or availability to "
            "find what is sold out.",
            icon=":material/inventory:",
        )
    form.show(catalogue, stock)
panel.show_latest("substitutes", "readiness", page="substitutes")

# 2. The substitutes, one by one, and what is done with them.
with notices.guarded():
    check = substitutes.check(catalogue)
    if check is not None:
        st.subheader("Check the substitutes")
        table.show(catalogue, check)
        if check.ids:
            files.show(catalogue)
    if stock.is_stated:
        readiness.show(catalogue)
