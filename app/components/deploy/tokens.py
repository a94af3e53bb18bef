"""Tokens: who may ask the endpoint, for how long, and when they last did; a new one is shown once."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import identity, notices, words
from app.components.shared import charts
from app.services import deploy
from backend.access.person import Role
from backend.serving.tokens import APP, MAX_DAYS, Scope

OFFERED: tuple[Scope, ...] = ("watch", "ask")  # nobody logs in here; whoever has a shell may have more
SCOPE_TITLES: dict[Scope, str] = {
    "watch": "Read: health, version, metrics",
    "ask": "Search: find similar products",
    "all": "Everything, including changing the served model",
}
USUAL_DAYS = 90


def show() -> None:
    """Show the tokens, make new ones and void old ones."""
    if not deploy.is_local():
        st.info("The endpoint runs on another machine; its tokens are issued there.", icon=":material/cloud:")
        return
    with st.form("new_token", border=True), notices.guarded():
        _issue()
    rows = deploy.tokens()
    if rows:
        charts.table([_row(row) for row in rows], key="tokens")
    else:
        st.info("There are no tokens yet; the app creates its own with its first query.", icon=":material/key:")
    names = [row.entry.name for row in rows if row.entry.name != APP]
    if names:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.selectbox("Token", names, key="token_revoke", width=300)
            if st.button(
                "Revoke",
                icon=":material/block:",
                **identity.only_for(Role.ADMIN, "Revoke immediately."),
            ):
                deploy.revoke_token(name)
                st.rerun()


def _row(row: deploy.TokenRow) -> dict[str, Any]:
    entry = row.entry
    return {
        "Name": entry.name,
        "Of": row.person,
        "May": SCOPE_TITLES[entry.scope],
        "Made": words.moment(entry.created_at),
        "Expires": words.moment(entry.expires_at) if entry.expires_at else "never",
        "Last used": words.moment(row.last_used_at) if row.last_used_at else "never",
        "State": "good" if row.is_good else "over",
    }


def _issue() -> None:
    """Create a token; it is shown in this run of the page and in no other, and is kept nowhere."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", placeholder="web-shop", key="token_name", max_chars=60, width=220)
        scope = st.selectbox(
            "May", OFFERED, index=1, format_func=SCOPE_TITLES.__getitem__, key="token_scope", width=300
        )
        days = st.number_input(
            "Days until it expires; 0 means never", 0, MAX_DAYS, USUAL_DAYS, key="token_days", width=180
        )
        made = st.form_submit_button(
            "Create a token",
            **identity.only_for(Role.ADMIN),
            icon=":material/key:",
        )
    st.caption(
        "To issue a token that may also change the served model, run `python -m backend tokens issue NAME --scope all`."
    )
    if not made:
        return
    if name.strip() == APP:
        st.info("The app creates its own token. Choose another name.", icon=":material/info:")
        return
    token = deploy.issue_token(name.strip(), scope, float(days) or None)
    st.success("This is the token. Copy it now: it is not shown again.", icon=":material/key:")
    st.code(token, language=None)
