"""Two models side by side: their figures with the interval of the difference, and what each answers to the same query."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import streamlit as st

from app import state, words
from app.components.evaluate import queries as evaluate_queries
from app.components.shared import charts, product_grid
from app.services import evaluation
from backend.evaluation.compare import marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.components.shared.product_grid import Card
    from backend.bundles.bundle import Manifest
    from backend.catalogue.items import Product
    from backend.evaluation.answers import AnsweredQuery
    from backend.evaluation.compare import Comparison
    from backend.evaluation.report import Evaluation

QUERIES_A_PAGE = 2
Kind = Literal["gained", "lost", "both_wrong"]


def show(model: Manifest, report: Evaluation) -> None:
    """Let another model be chosen and show both, this one as the second."""
    others = {other.name: other for other in evaluation.comparable(model)}
    if not others:
        st.info(
            "There is no other evaluated model of this catalogue yet. Train another one, build its index and "
            "evaluate it.",
            icon=":material/compare_arrows:",
        )
        return
    name = st.selectbox("Compare with", list(others), key=f"compare-{model.name}")
    found = evaluation.comparison(others[name], model)
    for note in found.notes:
        st.caption(f":material/info: {words.prose(note)}")
    charts.table(rows(found, report.options.k), key="comparison")
    st.markdown(words.plain(sentence(found)))
    _queries(found, others[name], model, report)


def rows(found: Comparison, k: int) -> list[dict[str, str]]:
    """Return one row a rate: both models, and how far they are apart."""
    return [
        {
            "": title,
            found.first: words.percent(found.rates[name].first.value, digits=1),
            found.second: words.percent(found.rates[name].second.value, digits=1),
            "Difference in points": _points(found, name),
        }
        for name, title in words.rate_titles(k).items()
    ]


def _points(found: Comparison, name: str) -> str:
    apart = found.rates[name].difference
    return f"{apart.value * 100:+.1f} ({apart.low * 100:+.1f} to {apart.high * 100:+.1f})"


def sentence(found: Comparison) -> str:
    """Say which of the two is better by precision@1, as far as the queries tell."""
    apart = found.rates["precision_at_1"].difference
    changed = (
        f"{found.second} gets {words.count(len(found.gained), 'product')} right that {found.first} does not, and misses "
        f"{len(found.lost):,} that {found.first} gets right."
    )
    if not apart.excludes_zero:
        return f"The difference in precision@1 between {found.second} and {found.first} may be chance. {changed}"
    better = "more" if apart.value > 0 else "less"
    return f"{found.second} finds the right nearest product {better} often than {found.first}. {changed}"


def _queries(found: Comparison, first: Manifest, second: Manifest, report: Evaluation) -> None:
    titles: dict[Kind, str] = {
        "gained": f"Only {found.second} is right · {len(found.gained):,}",
        "lost": f"Only {found.first} is right · {len(found.lost):,}",
        "both_wrong": f"Both are wrong · {len(found.both_wrong):,}",
    }
    kinds = [kind for kind in titles if getattr(found, kind)]
    key = f"{found.first}-{found.second}"
    asked = st.text_input("Query", key=f"compare-id-{key}", placeholder="Product id, or choose a list below")
    if asked.strip():
        ids: tuple[str, ...] = (asked.strip(),)
        page_key = ""
    elif not kinds:
        st.success("Both models are correct for every product.", icon=":material/check:")
        return
    else:
        kind: Kind = st.pills(
            "Products",
            kinds,
            default=kinds[0],
            required=True,
            format_func=lambda one: words.plain(titles[one]),
            key=f"compare-kind-{key}",
        )
        ids, page_key = getattr(found, kind), f"compare-page-{key}-{kind}"
    start = (state.page(page_key) - 1) * QUERIES_A_PAGE if page_key else 0
    _show_queries(ids[start : start + QUERIES_A_PAGE], first, second, report)
    if page_key:
        st.pagination(math.ceil(len(ids) / QUERIES_A_PAGE), key=page_key)


def _show_queries(ids: tuple[str, ...], first: Manifest, second: Manifest, report: Evaluation) -> None:
    sides = [(model, evaluation.answers(model).queries(ids)) for model in (first, second)]
    if not all(queries for _, queries in sides):
        st.info("No product with this id was a query for both models.", icon=":material/search_off:")
        return
    shown = evaluate_queries.ids_of([query for _, queries in sides for query in queries])
    pictures = evaluation.pictures(report.catalogue, shown)
    pairs = zip(sides[0][1], sides[1][1], strict=True)
    cards = [
        card
        for a, b in pairs
        for name, query, other in ((first.name, a, b), (second.name, b, a))
        for card in _cards(name, query, other, pictures)
    ]
    product_grid.show(cards, key="compare_grid")


def _cards(name: str, query: AnsweredQuery, other: AnsweredQuery, pictures: Mapping[str, Product]) -> Iterator[Card]:
    heading = f"{query.product_id} · {words.label(query.label)} · answered by {name}"
    yield evaluate_queries.query_card(query, pictures, heading)
    found = marked(query, other)[: evaluate_queries.NEIGHBOURS_SHOWN]
    for rank, one in enumerate(found, 1):
        badges = ("Right" if one.is_right else "Wrong", *(() if one.is_shared else ("Only here",)))
        yield evaluate_queries.neighbour_card(one.neighbour, rank, pictures, heading, *badges)
