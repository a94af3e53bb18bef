"""What a finished job brought, and where to go next."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import navigation, words
from app.components.jobs.kinds import KINDS, REVIEW


def show(kind: str, result: dict[str, Any], *, page: str = "") -> None:
    """Show what a job brought, and a link to what comes next in the flow, unless that is the page that shows it."""
    for sentence in sentences(kind, result) or [" · ".join(summary(result))]:
        st.markdown(words.prose(sentence))
    following = REVIEW if result.get("staged") else KINDS[kind].next if kind in KINDS else None
    if following is not None and following.page != page:
        about = {following.subject: str(result[following.subject])} if following.subject in result else {}
        if following.view:
            about["view"] = following.view
        navigation.link(following.page, following.label, about)


def sentences(kind: str, result: dict[str, Any]) -> list[str]:
    """Return what a finished job brought, in a few sentences; none where nobody has words for it."""
    known = KINDS.get(kind)
    return known.tells(result) if known is not None and known.field in result else []


def summary(result: dict[str, Any]) -> list[str]:
    """Return a result as short statements; values that hold further values are left to the log."""
    parts = []
    for name, value in result.items():
        title = name.replace("_", " ")
        if name == "seconds":
            continue  # the panel says how long the job took
        if name == "kept":
            parts.append(words.count(value, "product"))
        elif name == "rejected":
            rejected = sum(value.values())
            parts += [f"{words.count(rejected)} rejected"] if rejected else []
        elif isinstance(value, bool | str):
            parts += [f"{title} {value}"] if value != "" else []
        elif isinstance(value, int):
            parts.append(f"{title} {value:,}")
        elif isinstance(value, float):
            parts.append(f"{title} {value:.4g}")
    return parts
