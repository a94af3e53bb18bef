"""Every rule that has to do with a product, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import words
from app.components.rules import links, state, titles
from app.services import rules
from backend.merchandising.product_rules import rules_about

if TYPE_CHECKING:
    from collections.abc import Collection

    from backend.catalogue.items import Product
    from backend.merchandising.product_rules import Way

_TITLES: dict[Way, str] = {
    "named": "Rules that name this product",
    "answers": "Rules for answers about it, products of its kind, or photos like it",
    "condition": "Rules whose conditions it meets",
    "everywhere": "Other rules for all answers",
}
_SHOWN = 20


def show(catalogue: str, product: Product, touching: Collection[str]) -> None:
    """Show the rules as whoever edits has them in the draft, else the published ones, each with a link to edit it."""
    person = state.person()
    found = rules.rules_of(catalogue, rules.draft(catalogue, person)) if person else rules.published(catalogue).rules
    about = rules_about(found, product, rules.known(catalogue), touching)
    if not about:
        st.caption("No rule has to do with this product.")
    for way, title in _TITLES.items():
        if mine := sorted(about.get(way, ()), key=lambda rule: rule.rank):
            st.markdown(f"**{title}** ({len(mine):,})")
            for rule in mine[:_SHOWN]:
                links.show(catalogue, rule, titles.state_of(rule, titles.now()))
            if len(mine) > _SHOWN:
                st.caption(f"And {words.count(len(mine) - _SHOWN, 'more rule')}; see the page Rules.")
