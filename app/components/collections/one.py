"""One collection: its products in their order, what is noted of each, and what can be done with it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app import state as session
from app.components.collections import history, note, state, using
from app.components.rules import state as rule_state
from app.components.shared import product_grid
from app.services.shop import collections
from app.words import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.catalogue.items import Product
    from backend.merchandising.collections.collection import Collection
    from backend.merchandising.collections.store import CollectionSet

_PAGE = 24


def show(catalogue: str, editor: str, seen: CollectionSet, one: Collection) -> None:
    """Show a collection; every change is kept at once, and can be undone."""
    st.button("All collections", icon=":material/arrow_back:", on_click=state.open_one, args=("",))
    gone = collections.gone(catalogue, one)
    _head(one, gone)
    if editor:
        _edit(catalogue, seen, one)
    using.show(catalogue, editor, seen, one)
    if one.products:
        _grid(catalogue, editor, seen, one, frozenset(gone))
    else:
        st.info(
            "This collection is empty. Add products from Find similar, Explore or the Catalogue page.",
            icon=":material/library_add:",
        )
    history.show(catalogue, editor, one)
    note.show(catalogue, one.id)


def _head(one: Collection, gone: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(plain(one.name), width="content")
        if one.is_approved:
            st.badge("Approved", icon=":material/check:", color="green")
        else:
            st.badge("Draft", icon=":material/edit:", color="gray")
    facts = [words.count(len(one.products), "product")]
    if gone:
        facts.append(f"{len(gone):,} of them no longer in the catalogue")
    if one.owner:
        facts.append(f"made by {one.owner}")
    if one.is_approved:
        facts.append(f"approved by {one.approved_by} {words.moment(one.approved_at)}")
    st.caption(" · ".join(plain(fact) for fact in facts))
    if one.note:
        st.markdown(plain(one.note))


def _edit(catalogue: str, seen: CollectionSet, one: Collection) -> None:
    with st.container(horizontal=True):
        last = history.last(catalogue, one)
        st.button(
            "Undo",
            icon=":material/undo:",
            key="collection_undo",
            disabled=last is None,
            help="Takes back the last change of this collection.",
            on_click=history.back,
            args=(catalogue, one.id, last or 0),
        )
        st.button("Rename", icon=":material/edit:", key="collection_rename", on_click=state.edit, args=(seen.version,))
        if one.is_approved:
            st.button(
                "Withdraw approval",
                icon=":material/unpublished:",
                key="collection_withdraw",
                on_click=_withdraw,
                args=(catalogue, seen, one),
            )
        else:
            st.button(
                "Approve",
                icon=":material/check:",
                key="collection_approve",
                disabled=not one.products,
                on_click=_approve,
                args=(catalogue, seen, one),
            )
        with st.popover("Remove", icon=":material/delete:"):
            st.caption("You can bring it back from the list of collections.")
            st.button("Remove it", key="collection_remove", on_click=_remove, args=(catalogue, seen, one))


def _approve(catalogue: str, seen: CollectionSet, one: Collection) -> None:
    state.keep(catalogue, seen, one.approved(rule_state.person()), "Approved")


def _withdraw(catalogue: str, seen: CollectionSet, one: Collection) -> None:
    state.keep(catalogue, seen, one.as_draft, "Draft again")


def _remove(catalogue: str, seen: CollectionSet, one: Collection) -> None:
    with notices.guarded():
        collections.store(catalogue).remove(one.id, base=seen.version, by=rule_state.person())
        state.open_one("")


def _grid(catalogue: str, editor: str, seen: CollectionSet, one: Collection, gone: frozenset[str]) -> None:
    pages = math.ceil(len(one.products) / _PAGE)
    key = f"collection-page-{one.id}-{pages}"
    start = (min(session.page(key), pages) - 1) * _PAGE
    names = one.products[start : start + _PAGE]
    found = collections.products(catalogue, names)
    cards = [_card(one, name, place, found.get(name), gone) for place, name in enumerate(names, start + 1)]
    st.caption(
        "Click a product to comment on it or to move it to another place." if editor else "Enter your name to edit."
    )
    product_grid.show(
        cards,
        key="collection_products",
        action="Comment or move" if editor else "",
        on_pick=partial(state.edit, seen.version),
        small=_moves(catalogue, seen, one) if editor else None,
    )
    if pages > 1:
        st.pagination(pages, key=key)


def _moves(catalogue: str, seen: CollectionSet, one: Collection) -> dict[str, Callable[[str], None]]:
    def move(step: int, name: str) -> None:
        place = one.products.index(name) + 1 + step
        state.keep(catalogue, seen, one.moved(name, place), f"Moved {name} to place {place}")

    def remove(name: str) -> None:
        state.keep(catalogue, seen, one.without(name), f"Removed {name}")

    return {"Earlier": partial(move, -1), "Later": partial(move, 1), "Remove": remove}


def _card(one: Collection, name: str, place: int, product: Product | None, gone: frozenset[str]) -> product_grid.Card:
    comment = one.comment_of.get(name, "")
    if product is None:
        card = product_grid.Card(id=name, image=None, title=words.from_id(name))
    else:
        card = product_grid.product_card(product)
    lines = (f"“{comment}”", *card.lines) if comment else card.lines
    return replace(card, rank=place, lines=lines, badges=("Gone",) if name in gone else card.badges)
