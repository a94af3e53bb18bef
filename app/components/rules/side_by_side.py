"""Two sets of rules, or two versions of the search, side by side for chosen products, with what moved marked."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, words
from app.components.rules.scope import product_ids, several
from app.components.shared import product_grid
from app.services import common, rules, trials
from app.services.trials import Example
from app.words import plain
from backend.errors import CatalogueError
from backend.merchandising.merging import places_changed
from backend.serving.answers import AnswerNeighbour

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.components.shared.product_grid import Card
    from backend.catalogue.items import Product

    Found = Sequence[AnswerNeighbour | Product]
    Ask = Callable[[Example, str, int], Found]

_RULES, _SEARCH = "Rules", "Versions of the search"
_PRODUCTS, _KIND, _APPROVED, _ASKED = "Products", "A kind", "Approved examples", "Last searches"
MOST, FIRST = 12, 4  # questions that are compared, and products where none are chosen
_NARROW = 150  # pixels: on a phone, too, both are beside each other


def show(catalogue: str, person: str) -> None:
    """Let two sides and some questions be chosen, and show both answers to each."""
    what = st.segmented_control("Compare", [_RULES, _SEARCH], default=_RULES, required=True, key="side_what")
    is_search = what == _SEARCH
    sides = trials.searches(catalogue) if is_search else trials.rule_sets(catalogue, person)
    if len(sides) < 2:
        st.info("There is only one version of the search for this catalogue.", icon=":material/compare_arrows:")
        navigation.link("deploy", "Make another on Deploy")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first, second = (
            st.selectbox(
                title,
                list(sides),
                index=index,
                format_func=sides.__getitem__,
                key=f"side_{index}_{is_search:d}",
                width=260,
            )
            for index, title in enumerate(("Left", "Right"))
        )
        k = st.slider("How many", 4, 24, 8, key="side_k", width=160)
    if is_search:
        st.caption("Answers about products, as each version finds them, without rules.")
    examples = _examples(catalogue, is_search=is_search)
    if not examples:
        return
    ask: Ask = _by_search if is_search else partial(_by_rules, catalogue, person)
    with st.spinner("Comparing"):
        answers = [(one, ask(one, first, k), ask(one, second, k)) for one in examples]
    _show_all(answers, (sides[first], sides[second]))


def _by_rules(catalogue: str, person: str, example: Example, side: str, k: int) -> Found:
    return trials.by_rules(catalogue, example, side, k, person)


def _by_search(example: Example, side: str, k: int) -> Found:
    return trials.by_search(side, example.product_id, k)


def _examples(catalogue: str, *, is_search: bool) -> list[Example]:
    """Let questions be chosen; versions of the search are compared by products, whose pictures both know."""
    kinds = sorted(known.values["label"]) if (known := rules.known(catalogue)) else []
    ways = [_PRODUCTS, *([_KIND] if kinds else []), *([] if is_search else [_APPROVED, _ASKED])]
    way = st.segmented_control("For", ways, default=_PRODUCTS, required=True, key=f"side_way_{is_search:d}")
    if way == _PRODUCTS:
        found = _products(catalogue)
    elif way == _KIND:
        kind = st.selectbox("Kind", kinds, key="side_kind", width=260)
        found = trials.of_kind(catalogue, kind, MOST)
    elif way == _APPROVED:
        found = trials.approved(catalogue)
    else:
        found, passed = trials.last_asked(catalogue, MOST)
        if passed:
            st.caption(
                f"{words.count(passed, 'search', 'searches')} left out: of several photos, or of one that is not kept."
            )
    if not found:
        st.info("There is nothing to compare yet. Choose products instead.", icon=":material/search_off:")
    elif len(found) > MOST:
        st.caption(f"The first {MOST} of {len(found):,} are compared.")
    return found[:MOST]


def _products(catalogue: str) -> list[Example]:
    chosen = several("Product ids", product_ids(catalogue), (), key="side_products")
    if chosen:
        return [Example(one, one) for one in chosen]
    try:
        usual = common.examples(catalogue, common.snapshot(catalogue).version, FIRST)
    except CatalogueError:
        return []
    return [Example(one.title or one.product_id, one.product_id) for one in usual]


def _show_all(answers: Sequence[tuple[Example, Found, Found]], titles: tuple[str, str]) -> None:
    ids = [[[one.product_id for one in side] for side in sides] for _, *sides in answers]
    moved = [places_changed(*both) for both in ids]
    places = sum(max(map(len, both)) for both in ids)
    changed = sum(map(bool, moved))
    st.markdown(
        f"**{changed:d} of {words.count(len(answers), 'answer')} {'differs' if changed == 1 else 'differ'}, in "
        f"{sum(moved):d} of {words.count(places, 'place')}.**"
    )
    for number, ((example, *sides), both, count) in enumerate(zip(answers, ids, moved, strict=True)):
        same = f"{words.count(count, 'place')} of {max(map(len, both)):d} differ" if count else "the same"
        with st.container(border=True, key=f"side_answer_{number}"):
            st.markdown(f"**{plain(example.name)}** · {same}")
            columns = st.grid(2, min_column_width=_NARROW, gap="small")
            for at, (title, found) in enumerate(zip(titles, sides, strict=True)):
                with columns.container():
                    st.caption(plain(title))
                    cards = [_card(one, rank, both[1 - at], is_right=bool(at)) for rank, one in enumerate(found, 1)]
                    product_grid.show(cards, key=f"side_grid_{number}_{at}")


def _card(one: AnswerNeighbour | Product, rank: int, other: list[str], *, is_right: bool) -> Card:
    """Return the card of a product in one answer, marked where the other has it elsewhere or not at all."""
    there = other.index(one.product_id) + 1 if one.product_id in other else 0
    card = product_grid.neighbour_card(one) if isinstance(one, AnswerNeighbour) else product_grid.product_card(one)
    elsewhere = f"Moved from {there} to {rank}" if is_right else f"Moves to {there}"
    return replace(card, rank=rank, moved="" if there == rank else elsewhere if there else "Only here")
