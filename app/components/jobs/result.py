"""What a finished job brought, and where to go next."""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st

from app import navigation, words
from app.components.catalogue import results
from app.components.jobs import model_results
from app.components.tune import words as tune_words


class _Next(NamedTuple):
    """The page that comes next, what the link says, which part of the result it opens with, and in which view."""

    page: str
    label: str
    subject: str = ""
    view: str = ""


NEXT = {
    "catalogue": _Next("train", "Next: have Twinset learn from it", "catalogue"),
    "commit": _Next("train", "Next: have Twinset learn from it", "catalogue"),
    "quality": _Next("catalogue", "See what was found", "catalogue", "Quality"),
    "splits": _Next("catalogue", "See what they are used for", "catalogue", "Labels"),
    "restore": _Next("catalogue", "See the catalogue", "catalogue"),
    "tidy": _Next("catalogue", "See its versions", "catalogue", "History"),
    "train": _Next("deploy", "Next: build its index and deploy it", "model"),
    "tune": _Next("tune", "See its trials", "sweep", "Trials"),
    "index": _Next("evaluate", "Next: see how good its answers are", "model"),
    "refresh": _Next("recommend", "Find similar products"),
    "fidelity": _Next("deploy", "See what was measured", "model"),
    "evaluate": _Next("deploy", "Next: deploy it", "model"),
    "project": _Next("explore", "See the map", "model"),
    "deploy": _Next("recommend", "Next: find similar products"),
    "promote": _Next("recommend", "Next: find similar products"),
    "rollback": _Next("recommend", "Next: find similar products"),
    "rebuild": _Next("evaluate", "See how good its answers are", "model"),
    "demo": _Next("recommend", "Next: find similar products"),
}
_REVIEW = _Next("catalogue", "Review it and decide", "catalogue")
# How each kind is told, and a field that its result has; a result without it is another's.
_TELLERS = {
    **results.TELLERS,
    **model_results.TELLERS,
    "tune": (tune_words.result, "best_trial"),
}


def show(kind: str, result: dict[str, Any], *, page: str = "") -> None:
    """Show what a job brought, and a link to what comes next in the flow, unless that is the page that shows it."""
    for sentence in sentences(kind, result) or [" · ".join(summary(result))]:
        st.markdown(words.prose(sentence))
    following = _REVIEW if result.get("staged") else NEXT.get(kind)
    if following is not None and following.page != page:
        about = {following.subject: str(result[following.subject])} if following.subject in result else {}
        if following.view:
            about["view"] = following.view
        navigation.link(following.page, following.label, about)


def sentences(kind: str, result: dict[str, Any]) -> list[str]:
    """Return what a finished job brought, in a few sentences; none where nobody has words for it."""
    teller, field = _TELLERS.get(kind, (None, ""))
    return teller(result) if teller is not None and field in result else []


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
