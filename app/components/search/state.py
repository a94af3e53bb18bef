"""What a question consists of besides its photo or product, in the address line: the part that counts, filters, further
photos, and the versions that a link was made with. Nobody else reads or writes these.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import state
from app.state import (
    ASKED,
    FILTER,
    LESS,
    MADE_BY,
    OF_QUESTION,
    REGION,
    RULES,
    has_come_from_another,
    note,
    noted,
    photo,
    product,
    put,
)
from backend.errors import ImageRejected, RetrievalError
from backend.imaging.region import Region
from backend.retrieval.filters import COLLECTION, FILTERS, TEXT_FILTERS, check_filters
from backend.retrieval.wishes import DRAFT, RULES_ON, check_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

_PHOTO = re.compile(r"([0-9a-f]{64})(?::(0\.5|2\.0))?")


def region() -> Region | None:
    """The part that counts; None for all of the photo, also where the address names none that can be."""
    try:
        return Region.read(st.query_params.get(REGION, ""))
    except ImageRejected:
        return None


def choose(edges: Sequence[float]) -> None:
    """Have a part count, by its edges: left, top, right, bottom; without any, all of the photo."""
    put({REGION: str(Region.of(edges)) if edges else ""})


def sent(photo: str) -> Sequence[float] | None:
    """The edges that were just chosen on a photo, none for all of it; None where nothing was."""
    edges: Sequence[float] | None = state.sent(photo, "region")
    return edges


# ------------------------------------------------------------------------------------------------- filters


def filters() -> tuple[dict[str, Any], list[str]]:
    """The filters as they are carried out, and the names of those in the address that cannot be."""
    found: dict[str, Any] = {}
    wrong = []
    for key in (key for key in st.query_params if key.startswith(FILTER)):
        name, texts = key.removeprefix(FILTER), list(dict.fromkeys(st.query_params.get_all(key)))
        if name == COLLECTION and texts:
            found[name] = tuple(texts)
            continue
        try:
            found |= {} if not texts else check_filters({name: texts if name in TEXT_FILTERS else texts[-1]})
        except RetrievalError:
            wrong.append(name)
    return {name: found[name] for name in (*FILTERS, COLLECTION) if name in found}, wrong


def filter_by(**changes: Any) -> None:
    """Set filters, or take them back where the value is None."""
    put({f"{FILTER}{name}": _as_text(value) for name, value in changes.items()})


def unfilter(name: str, value: Any) -> None:
    """Take one value of a filter back, whatever was taken back since the page was drawn."""
    chosen = filters()[0].get(name)
    filter_by(**{name: [one for one in chosen if one != value] if isinstance(chosen, tuple) else None})


def shown(name: str, value: Any) -> str:
    """Return the key of a widget that shows a value of the address line, and have it show that.

    A browser keeps the state of a widget that is out of sight, and would bring it back with the next click on the page: where
    the value was changed by something else, a chip or Back, the widget is a new one.
    """
    number, last = noted(f"shown_{name}") or (0, value)
    number += last != value
    note(f"shown_{name}", (number, value))
    key = f"{name}_{number}" if number else name
    st.session_state[key] = value
    return key


def has_changed(name: str) -> Any:
    """Return what the user chose in a widget of :func:`shown`, which shows it from now on; for callbacks only."""
    number, _ = noted(f"shown_{name}")
    value = st.session_state[f"{name}_{number}" if number else name]
    note(f"shown_{name}", (number, value))
    return value


def _as_text(value: Any) -> str | list[str]:
    if isinstance(value, list | tuple):
        return list(value)
    return "" if value is None else str(value).lower()


# ------------------------------------------------------------------------------------------------- further photos and products


def less_like() -> list[str]:
    """Ids of the products that the answer is to be less like, in the order in which they were named."""
    return list(dict.fromkeys(st.query_params.get_all(LESS)))


def ask_less_like(product_id: str) -> None:
    """Have the answer be less like a product."""
    put({LESS: [*less_like(), product_id]})


def forgive(product_id: str) -> None:
    """Take back that the answer is to be less like a product."""
    put({LESS: [name for name in less_like() if name != product_id]})


def photos(name: str) -> dict[str, float]:
    """Further photos of the question, by SHA-256, and how much each counts; a text that is no hash is passed over."""
    read = map(_PHOTO.fullmatch, st.query_params.get_all(name))
    return {one[1]: float(one[2] or 1) for one in read if one is not None}


def set_photos(name: str, found: dict[str, float]) -> None:
    """Have these further photos."""
    put({name: [sha256 if weight == 1 else f"{sha256}:{weight}" for sha256, weight in found.items()]})


# ------------------------------------------------------------------------------------------------- versions


def rules() -> str:
    """The rules that the address asks for: ``off`` or the number of a version; empty for the newest."""
    text = st.query_params.get(RULES, "")
    try:
        check_rules(text)
    except RetrievalError:
        return ""
    return "" if text == RULES_ON or text.startswith(DRAFT) else text


def made_by() -> int | None:
    """The version of the model that a link was made with; None where none is named."""
    text = st.query_params.get(MADE_BY, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def show_newest(name: str) -> None:
    """Ask for the newest version again, of the rules or of the model."""
    put({name: ""})


def address(**pins: str) -> dict[str, list[str]]:
    """The whole question as values of the address line, with these instead of their own."""
    named = {name: st.query_params.get_all(name) for name in st.query_params}
    return named | {name: [text] for name, text in pins.items()}


def resume() -> None:
    """Ask again what was asked before another page was looked at; and remember what is asked now."""
    if product() or photo():
        named = [name for name in st.query_params if name in {*OF_QUESTION, RULES} or name.startswith(FILTER)]
        note(ASKED, {name: st.query_params.get_all(name) for name in named})
    elif (asked := noted(ASKED)) and has_come_from_another():
        put(asked)
