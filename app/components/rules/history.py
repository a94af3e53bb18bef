"""The published versions of the rules: who, when, why, what changed; each can be published again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices, words
from app import state as session
from app.components.rules import draft_bar
from app.components.shared import version_table
from app.services import rules
from app.words import plain
from backend.merchandising.merging import by_id
from backend.merchandising.wording import said

if TYPE_CHECKING:
    from backend.merchandising.rule_store import Published

_PAGE = 200
_NOTE = "undo_note"
_SHOWN = 40


def show(catalogue: str, person: str) -> None:
    """Show the versions, newest first, and what can be done with the one that is ticked."""
    found = rules.store(catalogue).history(limit=_PAGE)
    if not found:
        st.info("Nothing was published yet.", icon=":material/history:")
        return
    st.caption("Select a version to see what it changed, or to go back to it.")
    rows: dict[str, list[Any]] = {
        "Version": [one.version for one in found],
        "When": [words.local_iso(one.at) for one in found],
        "Who": [one.by for one in found],
        "Note": [one.note or _restored(one) for one in found],
        "Added": [one.added for one in found],
        "Changed": [one.changed for one in found],
        "Removed": [one.removed for one in found],
    }
    key = f"rules-history-{catalogue}-{found[0].version}"
    row = version_table.chosen(rows, key=key, alt="Published versions of the rules, newest first")
    if row is not None:
        _one(catalogue, person, found[row], newest=found[0].version)
    elif person:
        newest = found[0].version  # the way back that is wanted most often
        _offer_undo(catalogue, person, newest - 1, f"Undo version {newest}", newest=newest)


def _restored(entry: Published) -> str:
    """Say what a version without a note goes back to; before version 1 there are no rules."""
    if entry.restored is None:
        return ""
    return f"Back to version {entry.restored}" if entry.restored else "Back to no rules"


def _one(catalogue: str, person: str, entry: Published, *, newest: int) -> None:
    with st.container(border=True, key="rules_version"), notices.guarded():
        st.markdown(f"**Version {entry.version:d}** · {plain(words.moment(entry.at))} · {plain(entry.by or 'unknown')}")
        for line in _changes(catalogue, entry.version):
            st.markdown(line)
        if entry.version != newest and person:
            _offer_undo(catalogue, person, entry.version, f"Undo to version {entry.version}", newest=newest)


def _changes(catalogue: str, version: int) -> list[str]:
    """Return what a version did, each in a line."""
    old, new = (by_id(rules.published(catalogue, one).rules) for one in (version - 1, version))
    found = rules.store(catalogue).changes(version)
    lines = [f":material/add: {plain(said(new[name]))}" for name in found.added]
    lines += [f":material/edit: {plain(said(old[name]))} → {plain(said(new[name]))}" for name in found.changed]
    lines += [f":material/delete: {plain(said(old[name]))}" for name in found.removed]
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"And {words.count(more, 'more change')}."] if more > 0 else [])]


def _offer_undo(catalogue: str, person: str, version: int, label: str, *, newest: int) -> None:
    """Offer to publish an older version again, with a note; version 0 has no rules."""
    with st.popover(plain(label), icon=":material/undo:"):
        what = f"the rules of version {version}" if version else "no rules"
        st.caption(f"Publishes {what} as a new version. The history stays.")
        st.text_input("Note", key=_NOTE, max_chars=300)
        st.button("Undo now", type="primary", key="undo_now", on_click=_undo, args=(catalogue, person, version, newest))


def _undo(catalogue: str, person: str, version: int, newest: int) -> None:
    """Go back, unless another version was published since the history was shown."""
    with notices.guarded(), st.spinner("Publishing"):
        note = str(session.chosen(_NOTE) or "").strip()
        done, is_up = rules.undo(catalogue, version, person, note, newest=newest)
        draft_bar.told(done.version, is_up=is_up)
        st.session_state.pop(_NOTE, None)
