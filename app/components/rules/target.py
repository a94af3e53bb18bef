"""Which products a rule is about, as fields of a form: some of them by id, or all that fulfil conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import words
from app.components.rules.scope import product_ids, several
from app.components.search.filters_panel import TITLES
from app.services import common
from backend.catalogue.fields import RANGES
from backend.errors import CatalogueError
from backend.retrieval.rules.rule import PINS, SOLD_OUT, Rule, conditions

if TYPE_CHECKING:
    from app.services.common import Facets

_BY = ("Products", "Conditions")
_FLAGS = {SOLD_OUT: "Sold out", "in_stock": "In stock"}


def ask(
    catalogue: str, key: str, action: str, was: Rule | None, begun: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]:
    """Show the fields, at first with the products of ``was`` or, for a new rule, ``begun``; returns ids and conditions.

    One of the two is empty.
    """
    known = was.products if was else begun
    if action in PINS:
        return _one(catalogue, key, known), ()
    by = _BY[0]
    if action != "fall-back":
        chosen = st.segmented_control(
            "About", _BY, default=_BY[1] if was and was.where else _BY[0], required=True, key=f"{key}_by"
        )
        by = chosen or _BY[0]
    if by == _BY[0]:
        return several("Products", product_ids(catalogue), known, key=f"{key}_products"), ()
    return (), _conditions(catalogue, key, dict(was.where) if was else {})


def _one(catalogue: str, key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    options = list(dict.fromkeys([*known, *product_ids(catalogue)]))
    found = st.selectbox(
        "Product",
        options,
        index=0 if known else None,
        accept_new_options=True,
        key=f"{key}_product",
        placeholder="Choose, or type the product id",
    )
    return (found.strip(),) if found and found.strip() else ()


def _conditions(catalogue: str, key: str, was: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Ask for conditions: those that the catalogue has columns for, and those that the rule has already."""
    facets = _facets(catalogue)
    texts = {**(facets.values if facets else {}), **{name: [] for name in was if name in TITLES and name not in RANGES}}
    found: dict[str, Any] = {}
    row = st.grid(3, min_column_width=200, gap="small")
    for name in texts:
        offered = facets.values.get(name, []) if facets else []
        with row.container():
            chosen = several(TITLES[name], offered, was.get(name, ()), key=f"{key}_where_{name}")
        found |= {name: chosen} if chosen else {}
    for name in RANGES:
        for end, title in (("min", "from"), ("max", "up to")):
            if (facets and name in facets.ranges) or f"{name}_{end}" in was:
                value = row.number_input(
                    words.plain(f"{TITLES[name]} {title}"), value=was.get(f"{name}_{end}"), key=f"{key}_{name}_{end}"
                )
                found |= {} if value is None else {f"{name}_{end}": float(value)}
    for name, title in _FLAGS.items():
        usual = {None: "Any", True: "Yes", False: "No"}
        chosen_flag = row.selectbox(
            title,
            list(usual),
            index=list(usual).index(was.get(name)),
            format_func=usual.__getitem__,
            key=f"{key}_{name}",
        )
        found |= {} if chosen_flag is None else {name: chosen_flag}
    return conditions(found)


def _facets(catalogue: str) -> Facets | None:
    try:
        return common.facets(catalogue, common.snapshot(catalogue).version)
    except CatalogueError:
        return None
