"""Downloads: made once they are clicked, for whoever looked when the button was shown, and off for whom they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import identity
from backend.access.person import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.identity import Content


def show(
    title: str,
    make: Callable[[], Content],
    name: str,
    mime: str,
    *,
    key: str | None = None,
    role: Role = Role.MERCHANDISER,
    about: str | None = None,
) -> None:
    """Show the button of a file.

    Args:
        title: On the button.
        make: Returns the content; run in a thread that knows no session.
        name: Of the file.
        mime: Of the content.
        key: Of the button.
        role: The least role that may have it.
        about: A word of help.
    """
    st.download_button(
        title,
        identity.bound(make),
        name,
        mime,
        icon=":material/download:",
        on_click="ignore",
        key=key,
        **identity.only_for(role, about),
    )
