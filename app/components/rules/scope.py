"""Which answers a rule changes, as fields of a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import words
from app.components.rules import titles
from app.components.search.query_panel import TYPES
from app.services import common, rules
from backend.retrieval.rules.rule import NAMED_BY, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

USUAL_RADIUS = 0.1  # of a rule for a photo: very similar ones, too
OFFERED = 2_000  # ids or names that are sent to the browser; of more, they are typed


def ask(catalogue: str, key: str, was: Scope | None) -> Scope | None:
    """Show the fields and return what they make; None while something lacks."""
    kinds = _kinds(catalogue, was)
    kind = st.selectbox(
        "Which answers",
        kinds,
        index=kinds.index(was.kind) if was else 0,
        format_func=titles.scope_title,
        key=f"{key}_scope",
    )
    known = was if was and was.kind == kind else None
    if kind == "all":
        return Scope()
    if kind == "picture":
        return _picture(catalogue, key, known)
    title = titles.scope_title(kind).rpartition(" ")[2].capitalize()
    values = several(
        "Products" if kind in {"product", "nearest"} else title,
        _offered(catalogue, kind),
        known.values if known else (),
        key=f"{key}_{kind}",
    )
    return Scope(kind, values) if values else None


def several(title: str, offered: Sequence[str], chosen: Sequence[str], *, key: str) -> tuple[str, ...]:
    """Let ids or names be chosen, or typed where too many are there to be offered."""
    options = list(dict.fromkeys([*chosen, *offered]))
    found = st.multiselect(
        words.plain(title),
        options,
        default=list(chosen),
        accept_new_options=True,
        key=key,
        placeholder="Choose or type" if offered else "Type the product id, then Enter",
    )
    return tuple(dict.fromkeys(text.strip() for text in found if text.strip()))


def product_ids(catalogue: str) -> list[str]:
    """Ids to choose from; none where there are too many."""
    found = rules.known(catalogue)
    return sorted(found.ids) if found and len(found.ids) <= OFFERED else []


def radius(key: str, was: float) -> float:
    """Ask how like the photo others have to be; returns a radius. One that no step has is offered as it is."""
    steps = {**titles.RADII, **({was: f"As set: {was:g}"} if was and was not in titles.RADII else {})}
    options = sorted(steps)
    return float(
        st.select_slider(
            "Also for photos that are",
            options,
            value=was or USUAL_RADIUS,
            format_func=lambda one: words.plain(steps[one]),
            key=key,
        )
    )


def _kinds(catalogue: str, was: Scope | None) -> list[str]:
    """Kinds of scopes that the catalogue has anything for."""
    found = rules.known(catalogue)
    named = [name for name in NAMED_BY if found is None or found.values[name] or (was and was.kind == name)]
    return ["all", "product", "nearest", "picture", *named]


def _offered(catalogue: str, kind: str) -> list[str]:
    if kind in {"product", "nearest"}:
        return product_ids(catalogue)
    found = rules.known(catalogue)
    return sorted(found.values[kind])[:OFFERED] if found else []


def _picture(catalogue: str, key: str, was: Scope | None) -> Scope | None:
    file: Any = st.file_uploader(
        "Photo" if was is None else "Another photo",
        type=TYPES,
        key=f"{key}_photo",
        max_upload_size=common.settings().max_upload_mb,
        help="It is stored with the rules.",
    )
    if file is None and was is None:
        return None
    near = radius(f"{key}_radius", was.radius if was else 0.1)
    name = rules.keep_picture(catalogue, file.getvalue()) if file is not None else was.values[0] if was else ""
    return Scope("picture", (name,), near)
