"""Who changed a collection, when and how; each version can be gone back to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import words
from app.components.collections import listing
from app.components.shared import version_table
from app.services.shop import collections
from app.words import plain

if TYPE_CHECKING:
    from backend.merchandising.collections.collection import Collection

back = listing.bring_back
_LISTED = 50


def last(catalogue: str, one: Collection) -> int | None:
    """The version before the last change of a collection; None where it has no older one."""
    found = collections.history_of(catalogue, one.id, limit=2)
    return found[0].version - 1 if len(found) > 1 else None


def show(catalogue: str, editor: str, one: Collection) -> None:
    """Show the versions, newest first, and the way back to the one that is ticked."""
    box = st.expander("History", icon=":material/history:", key="collection_history", on_change="rerun")
    if not box.open:
        return
    with box:
        found = collections.history_of(catalogue, one.id, limit=_LISTED)
        row = version_table.chosen(
            {
                "When": [words.local_iso(each.at) for each in found],
                "Who": [each.by for each in found],
                "What": [each.note for each in found],
            },
            key=f"collection-history-{one.id}-{found[0].version}",
            alt="Versions of this collection, newest first",
        )
        if row:  # the first one is how it is
            st.button(
                f"Go back to this version of {plain(words.moment(found[row].at))}",
                icon=":material/undo:",
                key="collection_back",
                disabled=not editor,
                on_click=back,
                args=(catalogue, one.id, found[row].version),
            )
