"""One rule in a form: conflicts and what moves are shown while it is typed; saving puts it into the draft."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import streamlit as st

from app import identity, notices
from app.components.rules import draft_bar, effect, state, target, titles
from app.components.rules import scope as scope_field
from app.services import rules
from app.words import plain
from backend.errors import RetrievalError
from backend.merchandising.merging import by_id
from backend.merchandising.wording import said
from backend.retrieval.rules.rule import MAX_SLOT, MAX_STRENGTH, MAX_TEXT, PINS, SHIFTS, Rule

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from app.components.rules.state import Form

_USUAL_STRENGTH = 1.0


def show(catalogue: str, person: str, form: Form) -> None:
    """Show the form, and what the rule in it would do."""
    with st.container(border=True, key="rule_form"):
        st.subheader("New rule" if form.was is None else "Edit rule")
        rule = None
        try:
            rule, spot = _read(catalogue, person, form)
            _show_meaning(catalogue, person, rule, spot)
        except RetrievalError as error:
            st.info(notices.sentence(error.message, error.next_step), icon=":material/edit_note:")
        with st.container(horizontal=True):
            if st.button("Save to draft", type="primary", key="rule_save", disabled=rule is None) and rule:
                _save(catalogue, person, form, rule)
            st.button("Cancel", key="rule_cancel", on_click=state.close)


def _read(catalogue: str, person: str, form: Form) -> tuple[Rule, DeltaGenerator]:
    """Show the fields; returns the rule that they make, and where what it moves is shown: below the slider.

    Raises:
        RetrievalError: They make none yet.
    """
    was, key = form.was, form.number
    actions = list(titles.ACTIONS)
    row = st.grid(2, min_column_width=260)
    action: Any = row.selectbox(
        "Action",
        actions,
        index=actions.index(was.action if was else form.action),
        format_func=lambda one: (
            f"{titles.ACTIONS[one]}: {titles.HELP[one][0].lower()}{titles.HELP[one][1:].rstrip('.')}"
        ),
        key=f"{key}_action",
    )
    with row.container():
        scope = scope_field.ask(catalogue, key, was.scope if was else form.scope)
    products, where = target.ask(catalogue, key, action, was, form.products)
    amount = _amount(key, action, was)
    spot = st.container()
    about = _about(person, key, was)
    times = _times(key, was)
    if scope is None:
        raise RetrievalError("Choose which answers the rule is for.")
    if not products and not where:
        raise RetrievalError("Choose products, or conditions on them.")
    return Rule(form.id, action, scope, products, where, **amount, **about, **times), spot


def _amount(key: str, action: str, was: Rule | None) -> dict[str, Any]:
    """Ask for a place, or for a strength, as the action needs it."""
    if action in PINS:
        slot = st.number_input(
            "Place", 1, MAX_SLOT, value=(was.slot if was else None) or 1, key=f"{key}_slot", width=160
        )
        return {"slot": int(slot)}
    if action in SHIFTS:
        strength = st.slider(
            "Strength",
            0.1,
            MAX_STRENGTH,
            value=float((was.strength if was else None) or _USUAL_STRENGTH),
            step=0.1,
            key=f"{key}_strength",
            help="1 moves products about as far as results of one answer usually differ.",
        )
        crosses = st.checkbox(
            "May move products between close and other results",
            value=was.crosses if was else False,
            key=f"{key}_crosses",
        )
        return {"strength": float(strength), "crosses": crosses}
    return {}


def _about(person: str, key: str, was: Rule | None) -> dict[str, Any]:
    reason = st.text_input(
        "Reason",
        value=was.reason if was else "",
        key=f"{key}_reason",
        max_chars=MAX_TEXT,
        placeholder="Spring campaign",
    )
    row = st.grid(2, min_column_width=160)
    owner = row.text_input(
        "Owner",
        value=was.owner if was else person,
        key=f"{key}_owner",
        max_chars=MAX_TEXT,
        disabled=identity.is_signing_in(),
    )
    priority = row.number_input(
        "Priority",
        -1000,
        1000,
        value=was.priority if was else 0,
        key=f"{key}_priority",
        help="Where two rules contradict each other, the higher one wins.",
    )
    return {"reason": reason.strip(), "owner": owner.strip(), "priority": int(priority)}


def _times(key: str, was: Rule | None) -> dict[str, Any]:
    row = st.grid(5, min_column_width=130, gap="small")
    zones = sorted(available_timezones())
    starts = _time(row, key, "Start", was.starts if was else "", time(0))
    ends = _time(row, key, "End", was.ends if was else "", time(23, 59))
    usual = was.zone if was else titles.zone()
    chosen = row.selectbox(
        "Time zone", zones, index=zones.index(usual) if usual in zones else zones.index("UTC"), key=f"{key}_zone"
    )
    return {"starts": starts, "ends": ends, "zone": chosen if starts or ends or was else "UTC"}


def _time(row: Any, key: str, name: str, was: str, usual: time) -> str:
    """Ask for a local time, empty where it is open; returns it as a rule has it."""
    known = datetime.fromisoformat(was) if was else None
    day: date | None = row.date_input(
        f"{name} date", value=known.date() if known else None, key=f"{key}_{name}_day", format="YYYY-MM-DD"
    )
    hour = row.time_input(f"{name} time", value=known.time() if known else usual, key=f"{key}_{name}_time", step=900)
    return f"{datetime.combine(day, hour or usual):%Y-%m-%dT%H:%M}" if day else ""


def _show_meaning(catalogue: str, person: str, rule: Rule, spot: DeltaGenerator) -> None:
    """Say what a rule does, what is wrong with it beside the others, and what it moves."""
    sentence = said(rule)
    st.markdown(f"{plain(sentence[:1].upper())}{plain(sentence[1:])}.")
    mine = rules.draft(catalogue, person)
    others = by_id(rules.rules_of(catalogue, mine))
    others.pop(rule.id, None)
    after = [*others.values(), rule]
    draft_bar.show_problems([one for one in rules.problems(catalogue, after) if rule.id in one.rules])
    with spot:
        effect.show(catalogue, list(others.values()), after, rule)


def _save(catalogue: str, person: str, form: Form, rule: Rule) -> None:
    is_new = form.was is None
    about = rule.products[0] if rule.products else rule.where[0][0]
    saved = replace(rule, id=state.named(rule.action, about)) if is_new else rule
    with notices.guarded():
        rules.put(catalogue, person, saved, was=form.was)
        state.close()
        state.say("Saved to your draft.")
        st.rerun()
