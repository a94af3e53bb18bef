"""An answer: the picture as the model saw it, the facts, the neighbours, and the list as CSV."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import identity, state, words
from app.components.collections import adding
from app.components.rules import state as rule_state
from app.components.search import rule_menu, rule_panel
from app.components.search import state as question
from app.components.shared import download, product_grid
from app.services import export
from backend.access.person import Role
from backend.catalogue.items import DISPLAY_COLUMNS
from backend.files import sheet_text
from backend.serving.answers import NOTHING_CLOSE

if TYPE_CHECKING:
    from app.components.search.query_panel import Query
    from app.components.search.rule_menu import Asked
    from app.components.search.rule_panel import Ruled
    from app.components.search.thumbs import Thumbs
    from app.state import Answered
    from backend.serving.client import Answer

CSV_COLUMNS = ("rank", "product_id", "label", "closeness", "similarity", "distance", *DISPLAY_COLUMNS)


def show_picture(answer: Answer) -> None:
    """Show what the network saw of the picture, and what had to be done to it."""
    pair = st.grid(2, min_column_width=90, gap="small")
    if answer.seen:  # a plain MLflow server does not say
        pair.image(answer.seen, caption="As Twinset saw it", width="stretch")
    for number, seen in enumerate(answer.seen_others, 2):
        pair.image(seen, caption=f"Of photo {number:d}", width="stretch")
    for note in answer.notes:
        st.caption(f":material/info: {words.prose(note)}")


def show_facts(answered: Answered) -> None:
    """Show how long it took, which catalogue version was searched, and how many products."""
    answer = answered.answer
    st.caption(
        " · ".join(
            words.plain(part)
            for part in (
                f"Answered in {words.duration(answered.seconds)}",
                f"Catalogue {answer.catalogue} version {answer.catalogue_version}" if answer.catalogue else "",
                f"{words.count(answer.gallery_size, 'product')} searched" if answer.gallery_size else "",
            )
            if part
        )
    )


def show_neighbours(asked: Asked, ruled: Ruled, thumbs: Thumbs) -> None:
    """Show the neighbours as cards; a click asks about that item, the buttons below it for others, a rule, or a thumb.

    Where there are rules, a card can be moved to another place, which pins it there.
    """
    answer = asked.answer
    show_verdict(answer)
    figures = st.toggle(
        "Show figures",
        key="figures",
        bind="query-params",
        help="Also show how close each product is in numbers.",
    )
    used, may_edit = ruled.used(answer), bool(ruled.catalogue) and identity.may(Role.MERCHANDISER)
    cards = [
        product_grid.neighbour_card(
            neighbour, figures=figures, moved=rule_panel.moved(neighbour, used), pressed=thumbs.of(neighbour.product_id)
        )
        for neighbour in answer.neighbours
    ]
    product_grid.show(
        cards,
        key="neighbours",
        action="Find similar",
        on_pick=state.ask_about_product,
        small={
            **(thumbs.buttons if identity.may(Role.MERCHANDISER) else {}),
            "Less like this": question.ask_less_like,
            **({"Add rule": rule_state.rule_for, **adding.SMALL} if may_edit else {}),
        },
        details=ruled.catalogue,
        on_move=partial(rule_menu.move, asked) if may_edit else None,
    )
    rule_menu.show(asked)


def show_verdict(answer: Answer) -> None:
    """Say above the products that none of them is close, where that is so."""
    if answer.has_nothing_close:
        st.warning(NOTHING_CLOSE, icon=":material/search_off:")


def show_download(query: Query, answer: Answer) -> None:
    """Offer the list as a CSV file, and all of it for a collection."""
    about = {"catalogue": answer.catalogue, "model": answer.model_version, "products": len(answer.neighbours)}
    make = partial(export.handed_out, partial(as_csv, answer), **about)
    says = "The list as a table for a spreadsheet"
    download.show("CSV", make, f"similar-to-{_stem(query)}.csv", "text/csv", about=says)
    if answer.catalogue and identity.may(Role.MERCHANDISER):
        adding.offer([one.product_id for one in answer.neighbours], "Add all results", key="collect_all")
        adding.show(answer.catalogue)


def as_csv(answer: Answer) -> str:
    """Return the neighbours as CSV, nearest first; text that a spreadsheet would run as a formula is quoted.

    There is no column of labels where none of them has one.
    """
    columns = [name for name in CSV_COLUMNS if name != "label" or answer.has_labels]
    return sheet_text.as_csv([columns, *([getattr(one, name) for name in columns] for one in answer.neighbours)])


def _stem(query: Query) -> str:
    stem = query.product_id or query.name.rsplit(".", 1)[0]
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)[:60] or "photo"
