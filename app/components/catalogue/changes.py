"""What changed between two versions of a catalogue, with pictures before and after."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import streamlit as st

from app import state, words
from app.components.shared import product_grid
from app.components.shared.product_grid import Card
from app.services import catalogue
from backend.catalogue.fields import RANGES
from backend.catalogue.items import USES
from backend.catalogue.prices import amount

if TYPE_CHECKING:
    from app.services.catalogue import Since
    from backend.catalogue.items import CatalogueSummary, Product
    from backend.catalogue.upkeep.changes import Change, ChangeKind, ChangeSet

PAGE_SIZE = 24
SINCE = "changes_since"
_PICTURES = {"image": "New picture", "pictures": "Other further pictures"}
KIND_TITLES: dict[ChangeKind, str] = {
    "new": "New",
    "changed": "Changed",
    "withdrawn": "Withdrawn",
    "returned": "Back on sale",
    "gone": "Gone",
}


def show(summary: CatalogueSummary) -> None:
    """Let the user choose two versions, and show what is different."""
    readable = catalogue.readable_versions(summary.name)
    if len(readable) < 2:
        st.info(
            "This catalogue has only one version so far. Changes appear here after the next load.",
            icon=":material/difference:",
        )
        return
    start, end = _versions(summary, readable)
    if start > end:
        st.warning("Choose the older version first.", icon=":material/swap_horiz:")
        return
    found = catalogue.changes(summary.name, start, end)
    if not found.total:
        st.info(f"Nothing changed between version {start:d} and version {end:d}.", icon=":material/check:")
        return
    show_set(found, key=f"changes-{summary.name}-{start}-{end}")


def show_set(found: ChangeSet, *, key: str) -> None:
    """Show changes by kind, a page at a time."""
    kinds = [kind for kind in KIND_TITLES if found.counts.get(kind)]
    kind = st.pills(
        "Kind of change",
        kinds,
        format_func=lambda one: f"{KIND_TITLES[one]} · {found.counts[one]:,}",
        key=f"{key}-kind",
        label_visibility="collapsed",
    )
    if found.by_column:
        columns = ", ".join(f"{column_title(name).lower()} {count:,}" for name, count in found.by_column.items())
        st.caption(f"Details that changed in existing products: {words.plain(columns)}")
    page_key = f"{key}-page-{kind}"
    versions = (found.from_version, found.to_version)
    offset = (state.page(page_key) - 1) * PAGE_SIZE
    page = catalogue.change_page(found, kind=kind, offset=offset, limit=PAGE_SIZE)
    product_grid.show((_card(change, versions) for change in page), key=f"{key}-grid")
    st.pagination(math.ceil((found.counts[kind] if kind else found.total) / PAGE_SIZE), key=page_key)


def column_title(name: str) -> str:
    """Say what a column of a product is called."""
    return {"image": "Picture", "pictures": "Further pictures", "split": "Use"}.get(name, name.capitalize())


def _versions(summary: CatalogueSummary, readable: list[int]) -> tuple[int, int]:
    """Let the user choose two versions; at first the one that is looked at and the one before it."""
    newest_first = readable[::-1]
    end = summary.version if summary.version in readable else newest_first[0]
    # Once there is a newer version, or another is looked at, the choice begins anew.
    start_key, end_key = (f"changes_{which}-{summary.name}-{end}" for which in ("from", "to"))
    before = max((version for version in readable if version < end), default=end)
    choices = {
        f"{since.title} (version {since.version})": since
        for since in catalogue.built_on(summary.name)
        if since.version in readable
    }
    with st.container(horizontal=True):
        start = st.selectbox("From version", newest_first, newest_first.index(before), key=start_key, width=140)
        to = st.selectbox("To version", newest_first, newest_first.index(end), key=end_key, width=140)
        if choices:
            st.selectbox(
                "Or compare with",
                list(choices),
                index=None,
                placeholder="Choose one",
                key=SINCE,
                on_change=_choose,
                args=(choices, start_key, end_key, newest_first[0]),
                help="Shows what has changed since then.",
                width=420,
            )
    return start, to


def _choose(choices: dict[str, Since], start_key: str, end_key: str, newest: int) -> None:
    chosen = choices.get(state.chosen(SINCE))
    if chosen is not None:
        state.choose(start_key, chosen.version)
        state.choose(end_key, newest)


def _card(change: Change, versions: tuple[int, int]) -> Card:
    product = change.after or change.before
    if product is None:  # not even its id is known any more
        return Card(id=change.product_id, image=None, title=change.product_id, badges=(KIND_TITLES[change.kind],))
    card = product_grid.product_card(product)
    before, after = change.before, change.after
    pair: tuple[tuple[str, bytes | None], ...] = ()
    if before is not None and after is not None and "image" in change.changed_columns:
        pair = tuple((f"Version {at}", side.image) for at, side in zip(versions, (before, after), strict=True))
    return Card(
        id=change.product_id,
        image=card.image,
        title=card.title,
        lines=(change.product_id, *lines_of(change)),
        badges=(KIND_TITLES[change.kind],),
        pair=pair,
    )


def lines_of(change: Change) -> list[str]:
    """Say what is different, one line a column."""
    before, after = change.before, change.after
    if before is None or after is None:
        return []
    return [
        _PICTURES.get(name) or f"{column_title(name)}: {_value(before, name)} → {_value(after, name)}"
        for name in change.changed_columns
    ]


def _value(product: Product, name: str) -> str:
    value = getattr(product, name)
    if name in RANGES:
        return amount(product, name) or "none"
    if name == "split":
        return USES.get(product.split, product.split)
    return words.label(value) if name == "label" else "none" if value is None else str(value)
