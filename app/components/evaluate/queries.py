"""Single queries with what was answered to them: the worst ones as a gallery, each followed by its nearest products."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import streamlit as st

from app import state, words
from app.components.shared import product_grid
from app.components.shared.product_grid import Card
from app.services import evaluation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backend.bundles.bundle import Manifest
    from backend.catalogue.items import Product
    from backend.evaluation.answers import AnsweredNeighbour, AnsweredQuery
    from backend.evaluation.report import Evaluation

QUERIES_A_PAGE = 4
NEIGHBOURS_SHOWN = 4  # with the product asked about, a row
Kind = Literal["worst", "confident"]
KIND_TITLES: dict[Kind, str] = {"worst": "Worst queries", "confident": "Confidently wrong"}
KIND_HELP: dict[Kind, str] = {
    "worst": "Products of their label rank low (lowest average precision).",
    "confident": "The nearest product has another label and is very similar. Often the label itself is wrong.",
}


def show(model: Manifest, report: Evaluation) -> None:
    """Show the queries that were answered worst."""
    lists: dict[Kind, tuple[str, ...]] = {"worst": report.worst, "confident": report.confident}
    kinds = [kind for kind in KIND_TITLES if lists[kind]]
    kind: Kind = st.segmented_control(
        "Which", kinds, default=kinds[0], required=True, format_func=KIND_TITLES.__getitem__, key="worst_kind"
    )
    st.caption(KIND_HELP[kind])
    ids = lists[kind]
    page_key = f"worst-{model.name}-{kind}"
    start = (state.page(page_key) - 1) * QUERIES_A_PAGE
    queries = evaluation.answers(model).queries(ids[start : start + QUERIES_A_PAGE])
    pictures = evaluation.pictures(report.catalogue, ids_of(queries))
    product_grid.show([card for query in queries for card in cards(query, pictures)], key="worst_grid")
    st.pagination(math.ceil(len(ids) / QUERIES_A_PAGE), key=page_key)


def ids_of(queries: list[AnsweredQuery]) -> tuple[str, ...]:
    """Return the products that showing these queries needs."""
    found = (
        name
        for query in queries
        for name in (query.product_id, *(one.product_id for one in query.neighbours[:NEIGHBOURS_SHOWN]))
    )
    return tuple(dict.fromkeys(found))


def cards(query: AnsweredQuery, pictures: Mapping[str, Product]) -> Iterator[Card]:
    """Return the card of a query and those of its nearest products, under one heading."""
    heading = f"{query.product_id} · {words.label(query.label)} · average precision {words.percent(query.map_at_r)}"
    yield query_card(query, pictures, heading)
    for rank, neighbour in enumerate(query.neighbours[:NEIGHBOURS_SHOWN], 1):
        badge = "Right" if neighbour.label == query.label else "Wrong"
        yield neighbour_card(neighbour, rank, pictures, heading, badge)


def query_card(query: AnsweredQuery, pictures: Mapping[str, Product], heading: str) -> Card:
    """Return the card of the product that was asked about."""
    return Card(
        id=query.product_id,
        image=_image(query.product_id, pictures),
        title=words.label(query.label),
        lines=(query.product_id,),
        badges=("Query",),
        group=heading,
    )


def neighbour_card(
    neighbour: AnsweredNeighbour, rank: int, pictures: Mapping[str, Product], heading: str, *badges: str
) -> Card:
    """Return the card of a product that was answered."""
    return Card(
        id=neighbour.product_id,
        image=_image(neighbour.product_id, pictures),
        title=words.label(neighbour.label),
        lines=(neighbour.product_id,),
        rank=rank,
        similarity=neighbour.similarity,
        distance=1 - neighbour.similarity,
        badges=badges,
        group=heading,
    )


def _image(product_id: str, pictures: Mapping[str, Product]) -> bytes | None:
    return pictures[product_id].image if product_id in pictures else None
