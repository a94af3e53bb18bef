"""The versions of a catalogue: what made each, opening one, bringing one back, and tidying up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import identity, navigation, state, words
from app.components.catalogue import changes
from app.components.jobs import panel
from app.components.shared import version_table
from app.services import catalogue
from app.words import plain
from backend.flow.requests import RestoreRequest, TidyRequest
from backend.flow.roles import role_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.catalogue.items import CatalogueSummary
    from backend.catalogue.upkeep.history import HistoryEntry


def show(summary: CatalogueSummary, *, newest: int) -> None:
    """Show the versions, newest first, and what can be done with the one that is ticked."""
    entries = [entry for entry in catalogue.history(summary.name) if entry.version]
    st.caption("Select a version to open or restore it.")
    entry = _ticked(summary.name, entries)
    if entry is not None:
        _one(summary.name, entry, newest)
    asked = state.noted(f"restore-{summary.name}")
    if asked is not None:
        _restore(summary.name, asked, newest)
    with st.expander("Tidy up", icon=":material/cleaning_services:", key="tidy"):
        request = _tidy(summary.name)
    if request is not None:
        panel.submit(request)
        st.rerun()


def _ticked(name: str, entries: Sequence[HistoryEntry]) -> HistoryEntry | None:
    rows = [_row(entry) for entry in entries]
    columns = {title: [row[title] for row in rows] for title in rows[0]}
    key = f"history-{name}-{entries[0].version}"  # rows are ticked by position: another newest makes another table
    row = version_table.chosen(columns, key=key, alt="Versions of the catalogue, newest first")
    return entries[row] if row is not None else None


def _row(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "Version": entry.version,
        "When": words.local_iso(entry.committed_at),
        "What": entry.action,
        "Source": entry.source,
        "Products": entry.rows,
        "New": entry.new,
        "Changed": entry.changed,
        "Gone": entry.gone,
        "Used by": ", ".join(entry.used_by),
        "Can be opened": "Yes" if entry.is_readable else "No, files removed",
        "Job": entry.job,
    }


def _one(name: str, entry: HistoryEntry, newest: int) -> None:
    is_newest = entry.version == newest
    with st.container(border=True, key="history_one"):
        st.markdown(f"**Version {entry.version:d}** · {plain(f'{entry.action}, {words.moment(entry.committed_at)}')}")
        if entry.used_by:
            st.caption(f"Used by {plain(', '.join(entry.used_by))}")
        if not entry.is_readable:
            st.info("Its files were removed, so it cannot be opened or restored.", icon=":material/block:")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "Open this version",
                icon=":material/visibility:",
                disabled=not entry.is_readable,
                on_click=state.open_version,
                args=(state.NEWEST if is_newest else entry.version, "Products"),
            )
            st.button(
                "Restore this version",
                icon=":material/restore:",
                disabled=is_newest or not entry.is_readable,
                help="This is the newest." if is_newest else "First shows what would change.",
                on_click=state.note,
                args=(f"restore-{name}", entry.version),
            )
            if entry.job:
                navigation.link("jobs", "Its job", {state.JOB: entry.job})


def _restore(name: str, version: int, newest: int) -> None:
    """Show what a restore would do, and ask."""
    topic = f"restore-{name}"
    if version == newest:
        state.forget(topic)
        return
    with st.container(border=True, key="restore"):
        st.subheader(f"Restore version {version}?")
        found = catalogue.changes(name, newest, version)
        st.markdown(
            f"This creates version {newest + 1} of the catalogue {plain(name)}, with the products of version "
            f"{version}. Version {newest} stays in the history."
        )
        with st.container(horizontal=True):
            if st.button(
                f"Restore version {version}",
                type="primary",
                icon=":material/restore:",
                **identity.only_for(role_for("restore")),
                key="restore_now",
            ):
                state.forget(topic)
                panel.submit(RestoreRequest(catalogue=name, version=version))
                st.rerun()
            st.button("Cancel", on_click=state.forget, args=(topic,))
        if found.total:
            st.markdown(f"What would happen to {words.count(found.total, 'product')}:")
            changes.show_set(found, key=f"restore-{name}-{version}-{newest}")
        else:
            st.info("No product would change.", icon=":material/check:")


def _tidy(name: str) -> TidyRequest | None:
    with st.form("tidy_form", border=False):
        compact = st.checkbox(
            "Combine small files",
            value=True,
            key="tidy_compact",
            help="Many small loads leave many small files, which are slower to read. Products do not change.",
        )
        vacuum = st.checkbox(
            "Remove the files of old versions",
            key="tidy_vacuum",
            help="Frees disk space. Versions whose files are removed can no longer be opened or restored.",
        )
        days = st.number_input(
            "Days of history to keep", min_value=0, max_value=3650, value=30, key="tidy_days", width=220
        )
        st.caption("The newest version and versions that Twinset has learned from are always kept.")
        if st.form_submit_button("Tidy up", icon=":material/cleaning_services:"):
            if compact or vacuum:
                return TidyRequest(catalogue=name, compact=compact, vacuum=vacuum, keep_days=float(days))
            st.warning("Select at least one option.", icon=":material/check_box:")
    return None
