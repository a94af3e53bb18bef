"""The rules of a catalogue as a table: found by what they do, for which answers, by text, and by when they are live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

from app import navigation, notices, words
from app import state as session
from app.components.rules import state, titles
from app.services import rules
from app.words import plain
from backend.merchandising.wording import listed, said, scope_said, where_said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.retrieval.rules.rule import Rule


_LINKED = 6  # products of a rule that link to their pages


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rules are looked for; empty fields want all."""

    actions: Sequence[str]
    kinds: Sequence[str]
    states: Sequence[str]
    text: str
    at: datetime

    def fits(self, rule: Rule) -> bool:
        """Tell whether a rule is one of them."""
        is_kind = (not self.actions or rule.action in self.actions) and (
            not self.kinds or rule.scope.kind in self.kinds
        )
        is_state = not self.states or titles.state_of(rule, self.at) in self.states
        text = " ".join((rule.id, said(rule), rule.reason, rule.owner, *rule.products, *rule.scope.values)).lower()
        return is_kind and is_state and all(word in text for word in self.text.lower().split())


def show(catalogue: str, person: str, found: Sequence[Rule] | None, drafted: frozenset[str]) -> None:
    """Show rules with filters; a click on one lets it be edited, copied or removed.

    Args:
        catalogue: Whose rules.
        person: Who edits; empty where nobody may.
        found: The rules; None where they cannot be read, which the page says above.
        drafted: Ids of those that are new or different in the draft.
    """
    if found is None:
        st.caption("These rules cannot be shown. The history has the versions before.")
        return
    if not found:
        st.info(
            "There are no rules yet. Make one here, or from a result on the Find similar page.", icon=":material/rule:"
        )
        return
    wanted = _filters(found)
    chosen = [rule for rule in found if wanted.fits(rule)]
    live = sum(rule.holds_at(wanted.at) for rule in chosen)
    st.caption(f"{words.count(len(chosen), 'rule')} of {len(found):,} · {live:,} live at the chosen time")
    if not chosen:
        st.info("No rule matches. Remove a filter.", icon=":material/search_off:")
        return
    rule = _ticked(chosen, drafted, wanted.at)
    if rule is not None:
        _one(catalogue, person, rule)


def _filters(found: Sequence[Rule]) -> Wanted:
    row = st.grid(4, min_column_width=160, gap="small")
    kinds = sorted({rule.scope.kind for rule in found}, key=list(titles.SCOPES).index)
    text = row.text_input("Search rules", key="rules_text", placeholder="Product, reason, owner")
    actions = row.multiselect(
        "Action", list(titles.ACTIONS), key="rules_actions", format_func=titles.ACTIONS.__getitem__, placeholder="Any"
    )
    scopes = row.multiselect("Answers", kinds, key="rules_kinds", format_func=titles.scope_title, placeholder="Any")
    states = row.multiselect("State", titles.STATES, key="rules_states", placeholder="Any")
    with st.expander("Live on another date", key="rules_when"):
        at = _moment()
    return Wanted(actions, scopes, states, text, at)


def _moment() -> datetime:
    """Let a moment be chosen at which rules are looked at; now unless a date is given."""
    row = st.grid(3, min_column_width=150, gap="small")
    zones = sorted(available_timezones())
    zone = titles.zone()
    day = row.date_input("Date", value=None, key="rules_day")
    hour = row.time_input("Time", value=time(12), key="rules_hour")
    chosen = row.selectbox("Time zone", zones, index=zones.index(zone), key="rules_zone")
    if day is None:
        return titles.now()
    return datetime.combine(day, hour or time(0), ZoneInfo(chosen))


def _ticked(chosen: Sequence[Rule], drafted: frozenset[str], at: datetime) -> Rule | None:
    rows = [_row(rule, at, is_drafted=rule.id in drafted) for rule in chosen]
    key = f"rules-{hash(tuple(rule.id for rule in chosen)):x}"  # rows are ticked by position
    st.dataframe(
        {title: [row[title] for row in rows] for title in rows[0]},
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        placeholder="",
        alt="Rules",
    )
    row = session.selected_row(key)
    return chosen[row] if row is not None else None


def _row(rule: Rule, at: datetime, *, is_drafted: bool) -> dict[str, Any]:
    amount = f"Place {rule.slot}" if rule.slot else f"{rule.strength:g}" if rule.strength else ""
    products = listed(rule.products) if rule.products else where_said(rule.where).capitalize()
    answers = scope_said(rule.scope)
    return {
        "Action": titles.ACTIONS[rule.action],
        "Products": products,
        "State": f"{titles.state_of(rule, at)}{' · draft' if is_drafted else ''}",
        "Answers": f"{answers[:1].upper()}{answers[1:]}",
        "Place or strength": amount,
        "From": rule.starts.replace("T", " "),
        "Until": rule.ends.replace("T", " "),
        "Time zone": rule.zone if rule.starts or rule.ends else "",
        "Reason": rule.reason,
        "Owner": rule.owner,
        "Priority": rule.priority,
        "Rule": rule.id,
    }


def _one(catalogue: str, person: str, rule: Rule) -> None:
    with st.container(border=True, key="rule_one"):
        st.markdown(f"**{plain(said(rule))}**")
        if rule.reason or rule.owner:
            st.caption(" · ".join(plain(text) for text in (rule.reason, rule.owner) if text))
        with st.container(horizontal=True):
            for name in rule.products[:_LINKED]:
                navigation.link("product", name, {session.PRODUCT: name, "catalogue": catalogue})
        with st.container(horizontal=True):
            st.button("Edit", icon=":material/edit:", disabled=not person, on_click=state.edit, args=(rule,))
            st.button(
                "Remove",
                icon=":material/delete:",
                disabled=not person,
                help="Takes effect when you publish your draft." if person else "Enter your name first.",
                on_click=_remove,
                args=(catalogue, person, rule),
            )


def _remove(catalogue: str, person: str, rule: Rule) -> None:
    with notices.guarded():
        rules.put(catalogue, person, None, was=rule)
