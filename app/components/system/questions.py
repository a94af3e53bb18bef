"""What was asked: how much, how often nothing was close, which products never appear, and the last questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices, words
from app.components.shared import charts
from app.services import common, questions

if TYPE_CHECKING:
    from backend.merchandising.questions.question import Question

TITLE = "Questions"
_LAST = 50


def show() -> None:
    """Show the log of a catalogue."""
    names = questions.logged()
    if not names:
        is_on = common.settings().keep_questions_days > 0
        why = "They appear here once the endpoint has answered some." if is_on else "The log is switched off."
        st.info(f"No questions were logged. {why}", icon=":material/forum:")
        return
    name = names[0] if len(names) == 1 else st.selectbox("Catalogue", names, key="questions_catalogue")
    with notices.guarded():
        _figures(questions.told(name))
        st.markdown("**Last questions**")
        charts.table([_row(one) for one in questions.newest(name, _LAST)], key="last_questions")


def _figures(told: dict[str, Any]) -> None:
    share = told["nothing_close_share"]
    with st.container(horizontal=True):
        st.metric("Questions", words.count(told["questions"]))
        st.metric("Nothing was close", "unknown" if share is None else words.percent(share))
        st.metric("Products never shown", words.count(told["never_shown_count"]))
    if told["first"]:
        st.caption(words.plain(f"From {words.moment(told['first'])} to {words.moment(told['last'])}."))
    most, never = st.columns(2)
    with most:
        st.markdown("**Shown most**")
        charts.table([{"Product": one["product_id"], "Answers": one["answers"]} for one in told["most_shown"]])
    if not told["never_shown"]:
        return
    with never:
        st.markdown("**Never shown**")
        charts.table([{"Product": one} for one in told["never_shown"]])


def _row(one: Question) -> dict[str, Any]:
    return {
        "Time": words.moment(one.time.isoformat()),
        "Asked by": one.caller,
        "Picture": one.question[:12] or ", ".join(one.asked_wishes.like),
        "Filters": ", ".join(f"{name}: {_text(value)}" for name, value in one.asked_filters.items()),
        "First product": one.product_ids[0] if one.product_ids else "",
        "Similarity": round(one.similarities[0], 3) if one.similarities else None,
        "Close": {True: "yes", False: "no", None: ""}[one.has_match],
        "Rules": one.rules_version,
        "Milliseconds": round(one.milliseconds),
    }


def _text(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
