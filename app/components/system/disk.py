"""What the home holds on its disk, what may go, and why the rest stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import identity, notices, words
from app.components.shared import removal
from app.services import common
from app.words import size
from backend.access.person import Role
from backend.feeding.content_cache import cache_folder

if TYPE_CHECKING:
    from backend.jobs.disk import DiskUse, Held


def show() -> None:
    """Show all that takes space, the largest first, and let administrators delete what nothing needs."""
    with notices.guarded():
        use = common.disk_use()
        with st.container(horizontal=True):
            st.metric("This home", size(use.total))
            st.metric("Free on its disk", size(use.free))
        if use.is_low:
            st.warning("The disk is almost full. Remove what is no longer needed.", icon=":material/hard_drive:")
        _table(use)
        if identity.may(Role.ADMIN):
            _delete(use)
        show_cache()


def _table(use: DiskUse) -> None:
    if not use.held:
        st.info("The home folder is still empty.", icon=":material/folder_off:")
        return
    columns = {
        "What": [f"{one.what} {one.name}".rstrip() for one in use.held],
        "Size": [size(one.n_bytes) for one in use.held],
        "May be removed": ["Yes" if one.may_go else "No" for one in use.held],
        "How, or why not": [one.note.replace("`", "") for one in use.held],
    }
    wide = {"What": st.column_config.Column(width=260), "How, or why not": st.column_config.Column(width=520)}
    st.dataframe(columns, hide_index=True, key="disk_rows", placeholder="", column_config=wide)
    st.caption(
        "`python -m backend tidy` also removes what killed processes left, catalogue files that no commit refers to, and "
        "unregistered models in MLflow; with `--dry-run` it only lists them."
    )


def _delete(use: DiskUse) -> None:
    choices = [one for one in use.held if one.request is not None]
    if not choices:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Delete what nothing needs", choices, format_func=_title, key="disk_delete", width=400)
        if chosen is not None and chosen.request is not None:
            removal.offer(chosen.request)


def _title(one: Held) -> str:
    return f"{one.what} {one.name} · {words.size(one.n_bytes)}"


def show_cache() -> None:
    """Show how much decoded pictures take that are kept for later trainings, and a button that removes them."""
    cache = cache_folder(common.settings())
    used = cache.n_bytes
    st.metric("Cache of decoded pictures", size(used))
    st.caption(
        f"All trainings share it, and it takes {size(cache.limit_bytes)} at most. Later trainings fill it again."
    )
    if st.button("Empty the cache", icon=":material/delete_sweep:", key="empty-cache", disabled=not used):
        cache.clear()
        common.disk_use.clear()
        st.rerun()
