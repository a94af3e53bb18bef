"""The badge that says how far what is searched is behind the catalogue, and the button that brings it up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import identity, notices, words
from app.components.jobs import badge, panel
from app.services import retrieval
from backend.flow.requests import RefreshRequest
from backend.flow.roles import role_for

if TYPE_CHECKING:
    from app.services.common import Serving
    from backend.retrieval.freshness import Behind


def show(served: Serving, *, page: str = "") -> None:
    """Show the badge, the button where there is something to bring in, and the refresh that runs or just ended.

    On the page for finding products that is a line; its log and its figures are for others.

    Args:
        served: What answers come from.
        page: The page of the workbench that shows it; empty on Find similar.
    """
    with notices.guarded():
        found = retrieval.behind(served)
        if found is None:
            return  # the catalogue of an endpoint elsewhere
        with st.container(horizontal=True, vertical_alignment="center", key="freshness"):
            st.badge(words.plain(found.text), icon=_icon(found), color="orange" if found.is_behind else "green")
            if found.is_behind and st.button(
                "Refresh",
                icon=":material/sync:",
                type="tertiary",
                **identity.only_for(
                    role_for("refresh"), "Adds the new and changed products to the search; nothing else is redone."
                ),
            ):
                panel.submit(RefreshRequest(model=served.model))
        if page:
            panel.show_latest("refresh", page=page)
        else:
            badge.show_latest(
                "refresh", running="The new products are being added", failed="The new products could not be added"
            )


def _icon(found: Behind) -> str:
    return ":material/history:" if found.is_behind else ":material/check:"
