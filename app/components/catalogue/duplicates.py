"""Products that show the same picture or nearly so, and those of them that are in more than one split."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import streamlit as st

from app import identity, state, words
from app.components.jobs import panel
from app.components.shared import product_grid
from app.services import quality
from backend.catalogue.items import USES
from backend.flow.requests import SplitsRequest
from backend.flow.roles import role_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.components.shared.product_grid import Card
    from app.services.quality import Group, Repeats
    from backend.catalogue.items import CatalogueSummary, Product

GROUPS_A_PAGE = 8
SHOWN_OF_GROUP = 12
Kind = Literal["leaks", "exact", "near"]
KIND_TITLES: dict[Kind, str] = {
    "leaks": "Used in several ways",
    "exact": "Same picture",
    "near": "Look alike",
}


def show(summary: CatalogueSummary, measured: int, *, is_newest: bool) -> None:
    """Show groups of products that show the same, and offer to bring each into one split."""
    if not is_newest:
        st.info("Duplicates are only shown for the newest version.", icon=":material/content_copy:")
        return
    found = quality.repeats(summary.name, summary.version, measured)
    if not measured:
        st.caption("Pictures that look alike appear here once they are measured.")
    groups: dict[Kind, list[Group]] = {"leaks": found.leaks, "exact": found.exact, "near": found.near}
    kinds = [kind for kind in KIND_TITLES if groups[kind]]
    if not kinds:
        st.success("No duplicate pictures found.", icon=":material/check:")
        return
    if found.leaks:
        _leaks(summary, found)
    kind: Kind = st.pills(
        "Groups",
        kinds,
        default=kinds[0],
        required=True,
        format_func=lambda one: f"{KIND_TITLES[one]} · {len(groups[one]):,}",
        key=f"repeats-{summary.name}-{summary.version}-{measured}",
    )
    _groups(summary, kind, groups[kind])


def _leaks(summary: CatalogueSummary, found: Repeats) -> None:
    groups = words.count(len(found.leaks), "group is", "groups are")
    st.warning(
        f"{groups} used both for learning and for a check, or for both checks. Twinset recognises pictures that it "
        "has learned from, so its results look better than they are.",
        icon=":material/call_split:",
    )
    mend = st.button(
        "Give each group a single use",
        type="primary",
        **identity.only_for(role_for("splits")),
        icon=":material/merge:",
    )
    st.caption(
        "Each group takes the use that most of its products have, or learning if there is a tie. This creates a new "
        "version; products and pictures do not change."
    )
    if mend:
        panel.submit(SplitsRequest(catalogue=summary.name, action="mend", near=True))
        st.rerun()


def _groups(summary: CatalogueSummary, kind: Kind, groups: Sequence[Group]) -> None:
    page_key = f"repeats-page-{summary.name}-{summary.version}-{kind}"
    start = (state.page(page_key) - 1) * GROUPS_A_PAGE
    page = groups[start : start + GROUPS_A_PAGE]
    shown = quality.products_of_groups(summary.name, summary.version, [group[:SHOWN_OF_GROUP] for group in page])
    cards = [
        _card(product, _heading(start + at, group))
        for at, (group, products) in enumerate(zip(page, shown, strict=True))
        for product in products
    ]
    product_grid.show(cards, key="repeats_grid")
    st.pagination(math.ceil(len(groups) / GROUPS_A_PAGE), key=page_key)


def _heading(number: int, group: Group) -> str:
    more = f", first {SHOWN_OF_GROUP} shown" if len(group) > SHOWN_OF_GROUP else ""
    return f"Group {number + 1}: {words.count(len(group), 'product')}{more}"


def _card(product: Product, heading: str) -> Card:
    card = product_grid.product_card(product)
    split = USES.get(product.split, product.split)
    return replace(card, badges=(*card.badges, split), group=heading)
