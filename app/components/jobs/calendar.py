"""Jobs that recur: what runs in the coming week, and the schedules with all that can be done about them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

from app import identity, navigation, notices, state, words
from app.components.jobs.kinds import KINDS
from app.components.rules import titles
from app.services import common
from app.services.upkeep import schedules
from backend.flow.roles import role_for
from backend.jobs import timing
from backend.jobs.schedules import OF_A_CATALOGUE, SCHEDULED, request_for

if TYPE_CHECKING:
    from backend.jobs.schedules import Schedule

NAMED = 4  # times of a day that are named
OFTEN = ("Every day", "On days of the week", "Every month", "Every few hours", "Another rule")
_MONTH = (*map(str, range(1, 32)), "last")


def show() -> None:
    """Show the coming week, all schedules, and a form for another one."""
    with notices.guarded():
        _week()
        found = schedules.schedules().list()
        st.subheader("Schedules")
        if not found:
            st.info("No job recurs yet. Add a schedule for loading, measuring or tidying.", icon=":material/event:")
        for one in found:
            with st.container(border=True, key=f"schedule-{one.id}"), notices.guarded():
                _one(one)
        with (
            st.expander("Add a schedule", icon=":material/add:", expanded=not found, key="schedule-add"),
            notices.guarded(),
        ):
            _add()


def _week() -> None:
    zone = titles.zone()
    st.subheader("The next 7 days")
    week = schedules.calendar(time.time(), zone)
    if not week:
        st.caption("Nothing is planned.")
        return
    today = datetime.now(ZoneInfo(zone)).date()
    grid = st.grid(4, min_column_width=220)
    for day, jobs in week.items():
        name = "Today" if day == today else f"{day:%A} {day.day} {day:%B}"
        cell = grid.container(gap="xsmall")
        cell.markdown(f"**{words.plain(name)}**")
        for runs in jobs:
            cell.markdown(f"{words.plain(_times(runs.times))} · {words.plain(_title(runs.kind, runs.about))}")
    st.caption(f"Times in {words.plain(zone)}. Schedules run while Twinset is running (`make run`).")


def _times(times: tuple[datetime, ...]) -> str:
    named = ", ".join(f"{one:%H:%M}" for one in times[:NAMED])
    return f"{named} and {len(times) - NAMED} more" if len(times) > NAMED else named


def _title(kind: str, about: str) -> str:
    return ": ".join(filter(None, (KINDS[kind].title, about)))


def _one(one: Schedule) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{words.plain(_title(one.kind, schedules.about(one)))}**", width="content")
        if not one.is_on:
            st.badge("Paused", icon=":material/pause:", color="gray")
        st.caption(words.plain(f"{timing.said(one.rule)} ({one.zone}), added by {one.made_by.name}"), width="stretch")
    nearest = f"Next: {_moment(one.next_at, one.zone)}" if one.is_on else "No run while it is paused"
    last = f"last run: {_moment(one.last_at, one.zone)}" if one.last_at else "it has not run yet"
    st.caption(words.plain(f"{nearest}; {last}."))
    for sentence in filter(None, (one.said_missed(time.time()), one.note)):
        st.warning(words.plain(sentence), icon=":material/event_busy:")
    with st.container(horizontal=True):
        _actions(one)


def _actions(one: Schedule) -> None:
    may = identity.may(role_for(one.kind))
    if one.last_job:
        navigation.link("jobs", "Last job", {state.JOB: one.last_job})
    with st.popover("Edit", icon=":material/edit:", disabled=not may):
        changes = _when(f"edit-{one.id}", one)
        if st.button("Save", type="primary", key=f"save-{one.id}"):
            schedules.schedules().change(one.id, **changes)
            st.rerun()
    label, icon = ("Pause", ":material/pause:") if one.is_on else ("Resume", ":material/play_arrow:")
    if st.button(label, icon=icon, key=f"pause-{one.id}", disabled=not may):
        schedules.schedules().change(one.id, is_on=not one.is_on)
        st.rerun()
    with st.popover("Remove", icon=":material/delete:", disabled=not may):
        st.markdown("Remove this schedule? Jobs that it has started are not affected.")
        if st.button("Remove", type="primary", key=f"remove-{one.id}"):
            schedules.schedules().remove(one.id)
            st.rerun()


def _add() -> None:
    kind = st.selectbox("What", SCHEDULED, format_func=lambda name: KINDS[name].title, key="schedule-kind")
    names = common.catalogues() if kind in OF_A_CATALOGUE else []
    if kind in OF_A_CATALOGUE and not names:
        st.info("There is no catalogue yet. Load one first.", icon=":material/inventory_2:")
        return
    catalogue = st.selectbox("Catalogue", names, key="schedule-catalogue") if names else ""
    changes = _when("schedule", None)
    allowed = identity.only_for(role_for(kind))
    if st.button("Add schedule", type="primary", icon=":material/add:", key="schedule-save", **allowed):
        schedules.schedules().add(request_for(kind, catalogue), **changes)
        st.rerun()


def _when(key: str, was: Schedule | None) -> dict[str, Any]:
    """Ask when something recurs; returns rule, zone and what happens to missed runs."""
    rule = was.rule if was else "0 3 * * *"
    shape = timing.shape_of(rule)
    is_usual = [False, bool(shape.days), bool(shape.day), bool(shape.hours), not shape.is_plain]
    often = st.selectbox("How often", OFTEN, index=is_usual.index(True) if any(is_usual) else 0, key=f"{key}-often")
    zones = sorted(available_timezones())
    usual = was.zone if was else titles.zone()
    asked = st.text_input("Cron fields", rule, key=f"{key}-cron") if often == OFTEN[4] else _rule(key, often, shape)
    zone = st.selectbox("Time zone", zones, index=zones.index(usual), key=f"{key}-zone")
    catch_up = st.checkbox(
        "Run once as soon as possible if a run was missed", value=was.catch_up if was else True, key=f"{key}-missed"
    )
    return {"rule": asked, "zone": zone, "catch_up": catch_up}


def _rule(key: str, often: str, shape: timing.Shape) -> str:
    if often == OFTEN[3]:
        at = timing.EVERY.index(shape.hours or 6)
        return f"every {st.selectbox('Hours between runs', timing.EVERY, index=at, key=f'{key}-hours')} hours"
    days, day = "daily", ""
    if often == OFTEN[1]:
        usual = shape.days or timing.DAYS[:1]
        chosen = st.pills("Days", timing.DAYS, selection_mode="multi", default=usual, key=f"{key}-days")
        days = ",".join(one[:3].lower() for one in chosen) or days
    elif often == OFTEN[2]:
        at = _MONTH.index(shape.day or "1")
        days, day = "monthly", f" {st.selectbox('Day of the month', _MONTH, index=at, key=f'{key}-day')}"
    return f"{days}{day} {st.time_input('Time', shape.at, key=f'{key}-time', step=900):%H:%M}"


def _moment(epoch_s: float, zone: str) -> str:
    at = datetime.fromtimestamp(epoch_s, ZoneInfo(zone))
    return f"{at:%a} {at.day} {at:%b}, {at:%H:%M}"
