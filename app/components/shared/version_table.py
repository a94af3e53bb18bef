"""A table of versions, of which one can be chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def chosen(columns: Mapping[str, Sequence[Any]], *, key: str, alt: str) -> int | None:
    """Show versions, newest first, and return the row that is chosen; None while there is none.

    Args:
        columns: Their values by title; times in the column ``When``.
        key: Of the table. Rows are chosen by position, so that another newest version needs another key.
        alt: What the table is, for who does not see it.
    """
    st.dataframe(
        dict(columns),
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        column_config={"When": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm")},
        placeholder="",
        alt=alt,
    )
    return state.selected_row(key)
