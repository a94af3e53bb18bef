"""Alerts: what is wrong, whom it was sent to, and a button that tries each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import identity, notices, words
from app.services.upkeep import alerts
from backend.access.person import Role
from backend.jobs.alerts.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.jobs.alerts.posting import Target
    from backend.jobs.alerts.troubles import Trouble
    from backend.jobs.alerts.watch import Watched

TITLE = "Alerts"


def show() -> None:
    """Show the kinds of alerts with their state, and the addresses."""
    with notices.guarded():
        addresses = alerts.addresses()
        if not addresses:
            st.info(
                "Alerts are not sent. `TWINSET_ALERT_URLS` names the web addresses to send them to.",
                icon=":material/notifications_off:",
            )
            return
        found = alerts.watched()
        for kind in KINDS:
            _kind(kind, [one for one in found.open if one.kind == kind])
        st.markdown("**Addresses**")
        _addresses(addresses, found)


def _kind(kind: str, open_now: list[Trouble]) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            with st.container():
                state = ":red[Open]" if open_now else ":green[All well]"
                st.markdown(f"**{words.plain(KINDS[kind].title)}** · {state}")
                for one in open_now:
                    st.caption(words.plain(f"{one.text} First seen {words.ago(one.since)}."))
            is_tried = st.button(
                "Try",
                icon=":material/send:",
                key=f"try_alert_{kind}",
                disabled=not identity.may(Role.ADMIN),
                help="Sends a sample to every address, marked as a trial.",
            )
        if is_tried:
            with notices.guarded():
                _tried(kind)


def _tried(kind: str) -> None:
    with st.spinner("Sending a sample"):
        found = alerts.try_out(kind)
    for address, why in found:
        if why:
            st.error(words.plain(f"{address}: {why}"), icon=":material/error:")
        else:
            st.success(words.plain(f"{address}: the sample arrived."), icon=":material/check:")


def _addresses(addresses: Sequence[Target], found: Watched) -> None:
    for target in addresses:
        at = found.to(target)
        last = f"Last alert {words.ago(at.sent_at)}." if at.sent_at else "No alert was sent yet."
        if at.error:
            waiting = words.count(len(at.waiting), "alert", "alerts")
            again = f"at {words.local(at.due):%H:%M}"
            st.warning(
                words.plain(f"{target.shown}: {at.error} {waiting} not sent; next attempt {again}. {last}"),
                icon=":material/sync_problem:",
            )
        else:
            st.markdown(f":green[:material/check_circle:] {words.plain(f'{target.shown} · {last}')}")
