"""Keeping a catalogue current: where its products come from, and loading them again by a click or by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from app import identity, notices, words
from app.components.jobs import panel
from app.components.shared import edited
from app.services import renewal
from app.words import plain
from backend.catalogue.items import GONE_POLICIES
from backend.flow.requests import RenewRequest
from backend.flow.roles import role_for

if TYPE_CHECKING:
    from backend.catalogue.items import GonePolicy

EVERY = {0.0: "Only when I ask", 24.0: "Every day", 168.0: "Every week"}
GONE: dict[GonePolicy, str] = {"keep": "Keep them", "mark": "Mark them as withdrawn", "delete": "Delete them"}
MUCH = "If more than a tenth of the products is missing, nothing is stored before you decide."


def show(catalogue: str) -> None:
    """Show what a catalogue is loaded from, and let the user load it again, change that, or forget it."""
    kept = None
    with notices.guarded():
        kept = renewal.source_of(catalogue)
    title = "Keep up to date" if kept is None else f"Kept up to date from {plain(renewal.title_of(kept))}"
    with st.expander(title, icon=":material/sync:", key=f"renewal_{catalogue}"), notices.guarded():
        if kept is not None:
            _again(catalogue, kept)
        _form(catalogue, kept)


def _again(catalogue: str, kept: renewal.Remembered) -> None:
    last = f"last loaded {words.ago(kept.renewed_at)}" if kept.renewed_at else "not loaded again yet"
    st.caption(f"{_when(kept)}; {last}. {MUCH}")
    with st.container(horizontal=True):
        if st.button(
            "Load again now",
            type="primary",
            icon=":material/sync:",
            **identity.only_for(role_for("renew")),
            key="renew",
        ):
            panel.submit(RenewRequest(catalogue))
            st.rerun()
        if st.button(
            "Stop keeping it up to date",
            icon=":material/sync_disabled:",
            **identity.only_for(role_for("renew")),
            key="forget_source",
        ):
            renewal.forget(catalogue)
            st.rerun()


def _form(catalogue: str, kept: renewal.Remembered | None) -> None:
    topic, newest = f"renewal_{catalogue}", renewal.edition_of(catalogue)
    form = edited.opened(topic, newest, lambda drawn: f"remember_place_{catalogue}_{drawn}")
    key = f"{catalogue}_{form.drawn}"
    now = f"{renewal.place_of(kept)}, {_when(kept)[:1].lower()}{_when(kept)[1:]}" if kept else ""
    is_settled = edited.is_settled(topic, newest, what="the source of this catalogue", theirs=now)
    with st.form(f"remember_{catalogue}", border=False):
        place = st.text_input(
            "Where the products come from",
            renewal.place_of(kept) if kept else "",
            placeholder="https://shop.example/feed.xml",
            help="The web address of a feed, or a file or folder on the server.",
            key=f"remember_place_{key}",
        )
        hours = list(EVERY) if kept is None or kept.every_hours in EVERY else [*EVERY, kept.every_hours]
        every = st.selectbox(
            "Load it again",
            hours,
            index=hours.index(kept.every_hours) if kept else 0,
            format_func=lambda hours: EVERY.get(hours, f"Every {hours:g} hours"),
            key=f"remember_every_{key}",
        )
        gone: GonePolicy = st.selectbox(
            "Products that are missing then",
            GONE_POLICIES,
            index=GONE_POLICIES.index(kept.load.gone) if kept else 0,
            format_func=GONE.__getitem__,
            key=f"remember_gone_{key}",
        )
        lacks = identity.lacking(role_for("renew"))
        is_off = not is_settled or lacks is not None
        is_sent = st.form_submit_button("Save", icon=":material/save:", disabled=is_off, help=lacks)
    if is_sent and place.strip():
        found = renewal.remembered_at(catalogue, place.strip(), kept)
        load = replace(found.load, gone=gone)
        version = renewal.remember(catalogue, replace(found, load=load, every_hours=float(every)), form.base)
        edited.saved(topic, version)
        st.rerun()


def _when(kept: renewal.Remembered) -> str:
    return EVERY.get(kept.every_hours, f"Every {kept.every_hours:g} hours")
