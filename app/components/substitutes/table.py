"""The substitutes to check: a page of rows at a time, decided by keys or buttons."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import state, words
from app.components.shared.product_grid import data_uri
from app.components.shared.scripted import scripted
from app.components.substitutes import wording
from app.services import substitutes
from backend.catalogue.prices import price_text
from backend.merchandising.substitutes.kept import Decision
from backend.retrieval.closeness import SAME_PICTURE
from backend.retrieval.rules.rule import NAMED_BY

if TYPE_CHECKING:
    from backend.catalogue.items import Product
    from backend.merchandising.substitutes.kept import Check

ROWS = 20  # of a page
KEY = "check_table"
_PAGE, _HEARD = "check_page", "check_heard"
_LEAST = 0.05  # percent that is worth naming


def show(catalogue: str, check: Check) -> None:
    """Show what was found, and the table, in a fragment of its own: a key redraws nothing else."""
    about = check.about
    stock = "" if about.states_stock else " No product states its stock, so all products count as in stock."
    st.caption(
        words.plain(
            f"Found {words.moment(about.at)}, with stock and prices of version {about.version} of {catalogue}.{stock}"
        )
    )
    told = {"reasons": about.reasons, "missing": about.missing, "unreadable": about.unreadable}
    limits = wording.limits(about.request)
    sentences = [*([f"Limits: {limits}."] if limits else []), *wording.left_out(told)]
    if sentences:
        st.caption(words.plain(" ".join(sentences)))
    if not check.ids:
        st.info(
            "No substitute was found. Allow a wider price range or other kinds, or count unknown stock.",
            icon=":material/search_off:",
        )
        return
    st.fragment(_table)(catalogue, about.at)


def _table(catalogue: str, at: str) -> None:
    def decided() -> None:
        sent = [tuple(one) for one in state.sent(KEY, "decided") or []]
        heard = state.noted(_HEARD) or 0
        fresh = [Decision(str(name), what, str(twin)) for number, name, what, twin in sent if number > heard]
        if fresh:
            substitutes.decide(catalogue, fresh)
            state.note(_HEARD, sent[-1][0])

    def turned() -> None:
        _, page = state.sent(KEY, "turned") or (0, 0)
        if page:
            state.note(_PAGE, (at, int(page)))

    check = substitutes.check(catalogue)
    if check is None:
        return
    component = scripted("check_table", '<div class="check"></div>')
    component(key=KEY, data=_data(catalogue, check, at), on_decided_change=decided, on_turned_change=turned)


def _data(catalogue: str, check: Check, at: str) -> dict[str, Any]:
    pages = ceil(len(check.ids) / ROWS)
    noted, page = state.noted(_PAGE) or ("", 0)
    if noted != at:
        first_open = next((number for number, one in enumerate(check.current) if not one.decided), 0)
        page = first_open // ROWS + 1
        state.note(_PAGE, (at, page))
    page = min(max(page, 1), pages)
    first = (page - 1) * ROWS
    rows = check.rows.slice(first, ROWS).to_pylist()
    ids = [name for row in rows for name in (row["product_id"], *row["twins"])]
    shown = substitutes.shown(catalogue, ids)
    current = check.current[first : first + ROWS]
    counts, here = check.counts, sum(bool(one.decided) for one in current)
    return {
        "key": f"{catalogue} {at}",
        "rows": [_row(row, one, shown) for row, one in zip(rows, current, strict=True)],
        "page": page,
        "pages": pages,
        "total": len(check.ids),
        "elsewhere": counts["keep"] + counts["reject"] - here,
        "heard": state.noted(_HEARD) or 0,
    }


def _row(row: dict[str, Any], one: Decision, shown: dict[str, Product]) -> dict[str, Any]:
    own = None if row["photo"] else shown.get(row["product_id"])
    twins = [
        {"id": name, **_twin(own, shown.get(name), name, similarity)}
        for name, similarity in zip(row["twins"], row["similarities"], strict=True)
    ]
    product = {"title": row["product_id"], "lines": ["Photo"] if row["photo"] else ["Not in the catalogue any more"]}
    product["src"] = data_uri(row["photo"])
    return {
        "id": row["product_id"],
        "product": product if own is None else _side(own, row["product_id"]),
        "twins": twins,
        "twin": one.twin,
        "decided": one.decided,
    }


def _side(one: Product, name: str) -> dict[str, Any]:
    kind = " · ".join(dict.fromkeys(text for text in (getattr(one, name) for name in NAMED_BY) if text))
    lines = [line for line in (price_text(one), kind, name) if line]
    return {"title": one.title or one.label or name, "lines": lines, "src": data_uri(one.image)}


def _twin(own: Product | None, one: Product | None, name: str, similarity: float) -> dict[str, Any]:
    """Say what a substitute is, what it costs more or less, and why it was found."""
    if one is None:
        return {"title": name, "lines": ["Not in the catalogue any more"], "src": ""}
    side, stock = _side(one, name), one.stock
    off = substitutes.difference(own, one) if own is not None else None
    price = (
        "" if off is None else "Same price" if abs(off) < _LEAST else f"{abs(off):g} % {'more' if off > 0 else 'less'}"
    )
    alike = "Same picture" if similarity >= SAME_PICTURE else f"Looks {words.percent(similarity)} alike"
    in_stock = f"{stock:,} in stock" if stock else ""
    side["lines"] = [*side["lines"][:1], *(line for line in (price, alike, in_stock) if line), *side["lines"][1:]]
    return side
