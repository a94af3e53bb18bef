"""The selected products: pictures with counts by label, and what can be done with them."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app import identity, navigation, notices, state, words
from app.components.collections import adding
from app.components.explore import state as explore_state
from app.components.jobs import panel
from app.components.rules import state as rule_state
from app.components.rules import titles
from app.components.shared import download, product_grid
from app.services import evaluation, explore, export
from backend.access.person import Role
from backend.errors import ProjectionError, WorkbenchError
from backend.flow.requests import SplitsRequest
from backend.projection.lists import ListKind, SavedList, listed
from backend.retrieval.rules.rule import Action, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.services.explore import Drawn

SHOWN = 24
RULED = 1_000  # products of one rule that the form still shows at once
_DONE_TO: tuple[Action, ...] = ("block", "boost", "bury")
LABELS_COUNTED = 12
MEAN_NEIGHBOURS = 12
KINDS: dict[ListKind, str] = {"list": "A list", "suspects": "Label suspects", "unseen": "Unseen class"}
KIND_HELP = {
    "list": "Kept under its name, to be exported or selected again.",
    "suspects": "Products whose label may be wrong. Correct the exported CSV and load it on the Catalogue page.",
    "unseen": "A class to evaluate models on without training on it.",
}


def select(ids: Sequence[str]) -> None:
    """Select these products, by a short id in the address line."""
    chosen = [name for name in ids if name]
    explore_state.select(explore.keep_selection(chosen) if chosen else "")


def chosen_ids() -> tuple[str, ...]:
    """Return the products that the address line selects; where they are not kept any more, say so."""
    if not explore_state.selection():
        return ()
    try:
        return explore.selected(explore_state.selection())
    except ProjectionError as error:
        notices.show(error)
        return ()


def positions(found: Drawn) -> list[int]:
    """Return where the selected products are in a gallery; those that it does not hold are passed over."""
    if not explore_state.selection():
        return []
    try:
        ids = np.asarray(explore.selected(explore_state.selection()), dtype=np.str_)
    except ProjectionError:
        return []  # said where the selection is shown
    if not len(ids):
        return []
    places = np.searchsorted(found.points.ids, ids).clip(max=len(found.points.ids) - 1)
    return [int(at) for at in places[found.points.ids[places] == ids]]


def show(found: Drawn) -> None:
    """Show the selected products, or how products are selected."""
    ids = chosen_ids()
    places = positions(found)
    if not ids:
        st.caption("Draw around products with the lasso to select them; click one to see its neighbours.")
        return
    if not places:
        st.info("None of the selected products is in this gallery.", icon=":material/filter_none:")
        return
    labels = [str(found.points.labels[at]) for at in places]
    with st.container(border=True, key="explore_selection"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{words.count(len(places), 'product')} selected**", width="stretch")
            _save(found, places)
            _export(found, places)
            _ask(found, places)
            adding.offer([str(found.points.ids[at]) for at in places], adding.ADD, key="explore_collect")
            _rule(found, places)
            st.button("Clear", icon=":material/close:", key="explore_clear", on_click=explore_state.select, args=("",))
        st.caption(counts_sentence(labels))
        _grid(found, places)
    adding.show(explore.catalogue_of(found.reading).name)


def counts_sentence(labels: Sequence[str]) -> str:
    """Say how many of a selection have which label, the most frequent first."""
    counted = Counter(labels).most_common()
    parts = [f"{words.plain(words.label(label))} {number:,}" for label, number in counted[:LABELS_COUNTED]]
    rest = len(counted) - LABELS_COUNTED
    return " · ".join([*parts, *([f"{rest} more labels"] if rest > 0 else [])])


def _grid(found: Drawn, places: list[int]) -> None:
    key = f"explore-page-{explore_state.selection()}"
    start = (state.page(key) - 1) * SHOWN
    names = tuple(str(found.points.ids[at]) for at in places[start : start + SHOWN])
    pictures = evaluation.pictures(explore.catalogue_of(found.reading), names)
    cards = [product_grid.product_card(pictures[name]) for name in names if name in pictures]
    product_grid.show(
        cards,
        key="explore_selected",
        action="Show its neighbours",
        on_pick=explore_state.show_point,
        details=found.reading.catalogue[0],
    )
    if len(places) > SHOWN:
        st.pagination(math.ceil(len(places) / SHOWN), key=key)


def _export(found: Drawn, places: list[int]) -> None:
    chosen = as_list("selection", "list", found, places)
    with st.popover("Export", icon=":material/download:"):
        for title, data, mime in (
            ("CSV", chosen.to_csv, "text/csv"),
            ("JSON", chosen.to_json, "application/json"),
        ):
            make = partial(export.of_list, chosen, data)
            download.show(title, make, f"selection.{title.lower()}", mime, key=f"explore_{title}")


def _save(found: Drawn, places: list[int]) -> None:
    with st.popover("Save", icon=":material/bookmark_add:"), st.form("explore_save", border=False):
        name = st.text_input("Name", key="explore_list_name", max_chars=60)
        kind: ListKind = st.radio("As", list(KINDS), format_func=KINDS.__getitem__, captions=list(KIND_HELP.values()))
        if st.form_submit_button(
            "Save",
            type="primary",
            **identity.only_for(Role.MERCHANDISER),
        ):
            try:
                kept = explore.save_list(as_list(name.strip(), kind, found, places))
            except WorkbenchError as error:
                notices.show(error)
                return
            st.success(f"Saved as {words.plain(kept.name)}; see the tab Lists.", icon=":material/check:")


def _ask(found: Drawn, places: list[int]) -> None:
    """Use the selection as a query: what is nearest to its mean, and its most typical product on Find similar."""
    asked = st.popover("Use as query", icon=":material/image_search:", key="explore_ask", on_change="rerun")
    if not asked.open:
        return  # what nobody looks at is not searched for
    with asked:
        try:
            mean = np.asarray(found.reading.vectors[np.asarray(places)]).mean(axis=0)
            near = found.reading.near(mean, MEAN_NEIGHBOURS + len(places))
        except WorkbenchError as error:
            notices.show(error)
            return
        chosen = set(places)
        typical = next((at for at, _ in near if at in chosen), places[0])
        others = [str(found.points.ids[at]) for at, _ in near if at not in chosen][:MEAN_NEIGHBOURS]
        st.caption("Nearest to the mean of the selection, outside it:")
        pictures = evaluation.pictures(explore.catalogue_of(found.reading), tuple(others))
        cards = [product_grid.product_card(pictures[name]) for name in others if name in pictures]
        product_grid.show(cards, key="explore_mean", action="Show its neighbours", on_pick=explore_state.show_point)
        st.button("Select these instead", key="explore_mean_select", on_click=select, args=(others,))
        name = str(found.points.ids[typical])
        navigation.link("recommend", "Find similar to its most typical product", {state.PRODUCT: name})


def _rule(found: Drawn, places: list[int]) -> None:
    """Begin a rule about the selection: what is done to its products, or the answers whose nearest product is one of them."""
    with st.popover("Make a rule for these", icon=":material/rule:"):
        if len(places) > RULED:
            st.caption(f"A rule from a selection is about up to {RULED:,} products. Select fewer.")
            return
        names = tuple(str(found.points.ids[at]) for at in places)
        with st.container(horizontal=True):
            for action in _DONE_TO:
                if st.button(titles.ACTIONS[action], key=f"explore_rule_{action}"):
                    _begin(found, action, None, names)
            if st.button("Answers near these", key="explore_rule_nearest"):
                _begin(found, "pin", Scope("nearest", names), ())
        st.caption("Opens a new rule with these products filled in. Nothing changes for shoppers before you publish.")


def _begin(found: Drawn, action: Action, scope: Scope | None, products: tuple[str, ...]) -> None:
    rule_state.begin(action, scope, products)
    navigation.go("rules", {"catalogue": found.reading.catalogue[0]})


def as_list(name: str, kind: ListKind, found: Drawn, places: Sequence[int]) -> SavedList:
    """Return products of a gallery as a list."""
    ids = [str(found.points.ids[at]) for at in places]
    labels = [str(found.points.labels[at]) for at in places]
    return SavedList(name, kind, found.reading.model, *found.reading.catalogue, listed(ids, labels))


def submit_unseen(catalogue: str, labels: Sequence[str]) -> None:
    """Start the job that keeps labels out of training."""
    panel.submit(SplitsRequest(catalogue, "redraw", unseen=tuple(labels)))
