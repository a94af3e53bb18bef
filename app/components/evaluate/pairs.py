"""Label against label: the matrix, and the products asked about beside their nearest ones, cell by cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import streamlit as st

from app import state, words
from app.components.evaluate import charts as evaluate_charts
from app.components.shared import charts, product_grid
from app.components.shared.product_grid import Card
from app.services import evaluation

if TYPE_CHECKING:
    from backend.bundles.bundle import Manifest
    from backend.catalogue.items import Product
    from backend.evaluation.answers import AnsweredQuery
    from backend.evaluation.report import ConfusionCell, Evaluation

PAIRS_A_PAGE = 12


def show(model: Manifest, report: Evaluation) -> None:
    """Show the matrix and, below it, the pairs of the chosen cell."""
    cells = report.confusion
    labels = evaluate_charts.drawn_labels(cells)
    asked_key, nearest_key = f"asked-{model.name}", f"nearest-{model.name}"
    st.caption(
        "Rows are labels of queries, columns labels of their nearest products; the diagonal is correct. Click a cell "
        "to see its products, or choose below."
        + (
            f" Only the {len(labels)} labels with the most errors are shown."
            if len(labels) == evaluate_charts.LABELS_DRAWN
            else ""
        )
    )
    chart_key = f"confusion-{model.name}"

    def clicked() -> None:
        chosen = state.clicked_point(chart_key)
        if chosen is not None:
            state.choose(asked_key, chosen[0])
            state.choose(nearest_key, chosen[1])

    figure = evaluate_charts.confusion(cells)
    charts.show(
        figure,
        key=chart_key,
        alt="Confusion matrix: label of the query against label of the nearest product",
        on_select=clicked,
    )
    cell = _choose(cells, asked_key, nearest_key)
    if cell is not None:
        _pairs(model, report, cell)


def _choose(cells: tuple[ConfusionCell, ...], asked_key: str, nearest_key: str) -> ConfusionCell | None:
    first = max(cells, key=lambda cell: (cell.label != cell.nearest, cell.queries))
    asked_labels = sorted({cell.label for cell in cells})
    left, right = st.columns(2)
    with left:
        state.start_with(asked_key, first.label, asked_labels)
        asked = st.selectbox("Products with the label", asked_labels, key=asked_key, format_func=words.label)
    row = {cell.nearest: cell for cell in cells if cell.label == asked}
    wrong = [label for label in row if label != asked]
    with right:
        usual = max(wrong, key=lambda label: row[label].queries) if wrong else asked
        state.start_with(nearest_key, usual, list(row))
        nearest = st.selectbox(
            "whose nearest product is",
            list(row),
            key=nearest_key,
            format_func=lambda label: f"{words.label(label)} · {row[label].queries:,}",
        )
    return row.get(nearest)


def _pairs(model: Manifest, report: Evaluation, cell: ConfusionCell) -> None:
    answers = evaluation.answers(model)
    ids = answers.cell(cell.label, cell.nearest)
    page_key = f"pairs-{model.name}-{cell.label}-{cell.nearest}"
    start = (state.page(page_key) - 1) * PAIRS_A_PAGE
    queries = answers.queries(ids[start : start + PAIRS_A_PAGE])
    shown = tuple(one for query in queries for one in (query.product_id, query.neighbours[0].product_id))
    pictures = evaluation.pictures(report.catalogue, shown)
    product_grid.show([_card(query, pictures) for query in queries], key="pairs_grid")
    st.pagination(math.ceil(len(ids) / PAIRS_A_PAGE), key=page_key)


def _card(query: AnsweredQuery, pictures: dict[str, Product]) -> Card:
    nearest = query.neighbours[0]
    images = {
        name: pictures[name].image if name in pictures else None for name in (query.product_id, nearest.product_id)
    }
    return Card(
        id=query.product_id,
        image=None,
        title=f"{query.product_id} and {nearest.product_id}",
        lines=(
            f"{words.label(query.label)}, nearest is {words.label(nearest.label)}",
            f"similarity {nearest.similarity:.3f}",
        ),
        pair=(("Query", images[query.product_id]), ("Nearest", images[nearest.product_id])),
        badges=() if query.is_right else ("Wrong",),
    )
