"""The link to the answer on the page: a button that copies it, who can see what with it, and what has changed since it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import streamlit as st

from app import state, words
from app.components.search import state as question
from app.components.shared.scripted import scripted
from app.services import photos, rules

if TYPE_CHECKING:
    from app.components.search.query_panel import Query
    from app.components.search.rule_panel import Ruled
    from backend.serving.client import Answer

_HTML = """
<div class="copy-link">
  <button type="button">Copy link</button><span role="status"></span>
  <input type="text" readonly hidden aria-label="Link to this answer">
</div>
"""


def show(query: Query, answer: Answer, ruled: Ruled) -> None:
    """Show the button, with the versions that made the answer in the link, and whom it lets see the photo."""
    pins = {} if ruled.is_preview or answer.rules is None else {state.RULES: str(answer.rules.version)}
    if answer.model_version:
        pins[state.MADE_BY] = str(answer.model_version)
    link = urlencode(question.address(**pins), doseq=True)
    scripted("copy_link", _HTML)(key="copy_link", data={"query": f"?{link}"})
    if ruled.is_preview:
        st.caption("The link shows the published rules, not your draft.")
    named = [
        sha256 for sha256 in (query.sha256, *question.photos(state.MORE), *question.photos(state.UNWANTED)) if sha256
    ]
    if not named:
        return
    until = [photos.kept_until(sha256) for sha256 in named]
    if None in until:
        st.caption(":material/link_off: The photo is not kept on the server, so the link works only in this window.")
    else:
        day = words.moment(min(at for at in until if at).isoformat())
        st.caption(f":material/visibility: Anyone with the link sees the photo. It is kept until {words.plain(day)}.")
    st.button(
        "Remove photo",
        icon=":material/delete:",
        key="remove_photo",
        help="Removes it from the server and ends this search. Links to it stop working.",
        on_click=_remove,
        args=(named,),
    )


def show_notes(ruled: Ruled, serving: int) -> None:
    """Say that a link is by older rules than the newest or by none, and that another version of the search made it."""
    newest = rules.store(ruled.catalogue).newest() if ruled.catalogue else None
    made_by = question.made_by()
    if ruled.pinned == "off":
        _note("You are viewing the answer without rules.", "Use the rules", state.RULES)
    elif ruled.pinned and ruled.pinned != str(newest):
        known = "" if newest is None else f"; newest is {newest}"
        _note(f"You are viewing rules of version {ruled.pinned}{known}.", "Show newest", state.RULES)
    if made_by is not None and serving and made_by != serving:
        _note(
            f"Made with version {made_by} of the search. Only version {serving} can answer now; results may differ.",
            f"Use version {serving}",
            state.MADE_BY,
        )


def _note(text: str, way: str, name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"note_{name}"):
        st.info(words.prose(text), icon=":material/history:", width="stretch")
        st.button(way, key=f"newest_{name}", on_click=question.show_newest, args=(name,))


def _remove(named: list[str]) -> None:
    for sha256 in named:
        photos.remove(sha256)
