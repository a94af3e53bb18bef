"""Rules as files: CSV and YAML out, and in by way of the draft."""

from __future__ import annotations

import streamlit as st

from app import notices, words
from app.components.rules import draft_bar, state
from app.services import rules
from app.words import plain, prose

_TYPES = ["csv", "tsv", "yaml", "yml"]
_MOST_MB = 20
_SHOWN = 20


def show(catalogue: str, person: str) -> None:
    """Offer the published rules as files, and let a file be brought into the draft."""
    _show_export(catalogue)
    st.subheader("Import")
    st.caption(
        "YAML contains all rules; a rule that is missing from the file is removed. A CSV has the columns seed, pinned and "
        "blocked; all other rules stay."
    )
    file = st.file_uploader("File of rules", type=_TYPES, key="rules_file", max_upload_size=_MOST_MB)
    if file is None:
        return
    with notices.guarded(), st.spinner("Reading the file"):
        _show_plan(catalogue, person, file.name, file.getvalue())


def _show_export(catalogue: str) -> None:
    st.subheader("Export")
    found = rules.published(catalogue)
    yaml, csv, notes = rules.as_files(found)
    name = f"rules-{''.join(one if one.isalnum() or one in '-_' else '-' for one in catalogue)}-{found.version}"
    with st.container(horizontal=True):
        st.download_button(
            "YAML", yaml, f"{name}.yaml", "application/yaml", icon=":material/download:", on_click="ignore"
        )
        st.download_button(
            "CSV", csv.encode("utf-8-sig"), f"{name}.csv", "text/csv", icon=":material/download:", on_click="ignore"
        )
    st.caption(f"{words.count(len(found.rules), 'published rule')}, version {found.version:d}")
    for note in notes:
        st.caption(f":material/info: {prose(note)}")


def _show_plan(catalogue: str, person: str, name: str, data: bytes) -> None:
    planned = rules.read_file(catalogue, name, data)
    told = planned.as_dict()
    counts = ", ".join(f"{len(told[what]):,} {what}" for what in ("added", "changed", "removed"))
    st.markdown(f"**{plain(counts)}**, {told['unchanged']:,} unchanged")
    for what, sign in (("added", "add"), ("changed", "edit"), ("removed", "delete")):
        for one in told[what][:_SHOWN]:
            text = one.get("rule") or f"{one['before']} → {one['after']}"
            st.markdown(f":material/{sign}: {plain(text)}")
        if len(told[what]) > _SHOWN:
            st.caption(f"And {len(told[what]) - _SHOWN:,} more {what}.")
    for note in planned.notes:
        st.caption(f":material/info: {prose(note)}")
    if planned.torn:
        names = ", ".join(planned.torn[:_SHOWN])
        st.warning(prose(f"Changed by another person since the file was exported; their version is kept: {names}."))
    draft_bar.show_problems(planned.conflicts)
    if not planned.difference:
        st.info("The file changes nothing.", icon=":material/check:")
    elif st.button("Add to my draft", type="primary", key="rules_adopt", disabled=not person):
        rules.adopt(catalogue, person, planned)
        state.say("The file is in your draft. Publish it when you are ready.")
        st.rerun()
