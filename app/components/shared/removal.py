"""Deleting a model, an unfinished training or a sweep: what goes, or why it cannot, and one question before it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import identity, notices, words
from app.components.jobs import panel
from app.services import removal
from backend.flow.roles import role_for

if TYPE_CHECKING:
    from backend.flow.requests import DeleteRequest

HEIGHT = 200  # pixels; the question on a phone, with a long name
_GOES = {
    "model": "This also deletes its index, maps and evaluation. Its MLflow run and its registered versions are kept.",
    "unfinished training": "Its checkpoints are deleted, so it cannot be resumed. Its MLflow run is kept.",
    "sweep": "This also deletes its trials and moves their runs to MLflow's trash. Models trained from it are kept.",
}


def offer(request: DeleteRequest) -> None:
    """Show a button that opens the question."""
    name = request.sweep or request.model
    question = st.popover("Delete", icon=":material/delete:", key=f"delete-{name}", on_change="rerun")
    place = question.container(height=HEIGHT, border=False)  # even while empty, so that it opens where there is room
    if not question.open:
        return  # what it would take, and what needs it, is found out for who asks: that reads files and asks the endpoint
    with place, notices.guarded():
        found = removal.look(request)
        kind = found.what.partition(" '")[0]
        if found.protected:
            st.markdown(f"**{words.plain(name)}** cannot be deleted:")
            st.markdown("\n".join(f"- {words.prose(reason)}" for reason in found.protected))
            st.caption("Resolve this first, then delete it.")
            return
        st.markdown(
            f"Delete the {words.plain(kind)} **{words.plain(name)}** for good? This frees {words.size(found.n_bytes)}."
        )
        st.caption(_GOES[kind])
        if st.button(
            "Delete for good",
            type="primary",
            icon=":material/delete:",
            **identity.only_for(role_for("delete")),
            key=f"delete-{name}-now",
        ):
            panel.submit(request)
            st.rerun()
