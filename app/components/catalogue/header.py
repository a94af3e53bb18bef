"""Which catalogue, at which version, and what is in it in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import state, words
from app.components.catalogue import picker
from app.components.shared import charts
from app.services import catalogue, common
from backend.catalogue.items import USES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.catalogue.items import CatalogueSummary

VERSION_HELP = (
    "Every load and every change creates a new version. Choose an older one to see the catalogue as it was then."
)


def choose(names: Sequence[str]) -> CatalogueSummary:
    """Let the user choose a catalogue and a version of it, the newest at first; returns it in counts."""
    left, right = st.columns(2)
    with left:
        name = picker.choose(names, width="stretch", on_change=state.open_version)
    newest = common.snapshot(name).version
    asked = state.asked_version()  # before the widget drops what it does not know
    older = [version for version in reversed(catalogue.readable_versions(name)) if version < newest]
    with right:
        chosen = st.selectbox(
            "Version",
            [state.NEWEST, *older],
            format_func=lambda version: str(version) if version else "Newest",
            key="version",
            bind="query-params",
            help=VERSION_HELP,
        )
    version = chosen or newest
    summary = common.summary(name, version)
    if version != newest:
        _say_older(summary, newest)
    else:
        st.caption(f"Version {version:d} ({words.plain(words.moment(summary.committed_at))})")
    if version == newest and asked.isdecimal() and int(asked) != newest:
        st.warning(
            f"Version {int(asked):d} of {words.plain(name)} does not exist, or its files were removed. Showing the "
            "newest version.",
            icon=":material/history:",
        )
    return summary


def show_figures(summary: CatalogueSummary) -> None:
    """Show a catalogue version in figures."""
    with st.container(horizontal=True):
        st.metric("Products", words.count(summary.rows), border=True)
        if summary.labels:
            st.metric("Labels", words.count(len(summary.labels)), border=True)
        for split, title in USES.items():
            if summary.by_split.get(split):
                st.metric(title, words.count(summary.by_split[split]), border=True, help=charts.USE_HELP)
        if summary.withdrawn:
            st.metric(
                "Withdrawn",
                words.count(summary.withdrawn),
                border=True,
                help="Products that are no longer in their source. They stay in the catalogue, but no longer appear "
                "in results once the search is up to date.",
            )
        st.metric("Rejected", words.count(summary.quarantined), border=True)


def _say_older(summary: CatalogueSummary, newest: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(
            f"You are viewing version {summary.version:d} of {newest:d} "
            f"({words.plain(words.moment(summary.committed_at))}).",
            icon=":material/history:",
        )
        st.button("Back to the newest version", icon=":material/last_page:", on_click=state.open_version)
