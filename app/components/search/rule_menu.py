"""A rule from a result: what to do with the product, in which answers, why and until when; it goes into the draft."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices
from app import state as session
from app.components.rules import draft_bar, effect, person, state, titles
from app.components.rules.scope import USUAL_RADIUS, radius
from app.components.shared import product_grid
from app.services import rules
from app.words import plain
from backend.errors import RetrievalError
from backend.merchandising.wording import scope_said
from backend.retrieval.rules.rule import MAX_SLOT, MAX_STRENGTH, MAX_TEXT, NAMED_BY, PINS, SHIFTS, Rule, Scope

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from app.components.search.query_panel import Query
    from backend.serving.client import Answer, AnswerNeighbour

_ACTIONS = ("pin", "soft pin", "boost", "bury", "block")


@dataclass(frozen=True, slots=True)
class Asked:
    """The question that the answer on the page is to."""

    catalogue: str
    query: Query
    answer: Answer


def show(asked: Asked) -> None:
    """Open the dialog for the product whose button was pressed, if one was."""
    found = next((one for one in asked.answer.neighbours if one.product_id == state.product()), None)
    if found is not None:
        _dialog(asked, found)


def move(asked: Asked, product_id: str, place: int) -> None:
    """Pin a product to the place it was moved to, in the draft, which is previewed then; for callbacks.

    Who has not given a name yet is asked for it, with the pin filled in. A product that is pinned in these answers
    already gets another place, not another pin.
    """
    editor = state.person()
    if not editor:
        state.rule_for(product_id, place)
        return
    with notices.guarded():
        kind, values = next(iter(_scopes(asked).values()))
        scope = Scope("picture", (_kept(asked),), USUAL_RADIUS) if kind == "picture" else Scope(kind, values)
        known = rules.rules_of(asked.catalogue, rules.draft(asked.catalogue, editor))
        was = next((one for one in known if _pins(one, scope, product_id)), None)
        new = replace(was, slot=place) if was else _pin(scope, product_id, place, editor)
        rules.put(asked.catalogue, editor, new, was=was)
        session.choose("preview", value=True)
        state.say(f"Pinned to place {place} in your draft, {scope_said(scope)}.")


def _pins(rule: Rule, scope: Scope, product_id: str) -> bool:
    is_scope = (rule.scope.kind, rule.scope.values) == (scope.kind, scope.values)
    return rule.action in PINS and rule.products == (product_id,) and is_scope


def _pin(scope: Scope, product_id: str, place: int, owner: str) -> Rule:
    return Rule(state.named("pin", product_id), "pin", scope, (product_id,), slot=place, owner=owner)


def _kept(asked: Asked) -> str:
    return rules.keep_picture(asked.catalogue, asked.query.image)


@st.dialog("Add a rule", on_dismiss=state.forget_product)
def _dialog(asked: Asked, found: AnswerNeighbour) -> None:
    st.markdown(f"**{plain(product_grid.neighbour_card(found).title)}** · now at place {found.rank:d}")
    editor = person.ask()
    with notices.guarded():
        rule, spot = _read(asked, found, editor)
        if editor and rule is not None:
            before = rules.rules_of(asked.catalogue, rules.draft(asked.catalogue, editor))
            after = [*before, rule]
            with spot:
                effect.show_in(asked.catalogue, before, after, rule, asked.query.image)
            draft_bar.show_problems([one for one in rules.problems(asked.catalogue, after) if rule.id in one.rules])
        if st.button("Add to my draft", type="primary", key="menu_save", disabled=not editor or rule is None) and rule:
            rules.put(asked.catalogue, editor, rule)
            state.forget_product()
            st.rerun()


def _read(asked: Asked, found: AnswerNeighbour, editor: str) -> tuple[Rule | None, DeltaGenerator]:
    """Show the fields; returns the rule that they make, or None and says why, and where what it moves is shown."""
    key = f"menu-{found.product_id}"
    action: Any = st.segmented_control(
        "What to do",
        _ACTIONS,
        default="pin",
        required=True,
        format_func=titles.ACTIONS.__getitem__,
        key=f"{key}-action",
    )
    st.caption(titles.HELP[action])
    amount: dict[str, Any] = {}
    if action in PINS:
        place = state.place()
        slot = st.number_input("Place", 1, MAX_SLOT, value=place, key=f"{key}-slot-{place}", width=160)
        amount = {"slot": int(slot)}
    elif action in SHIFTS:
        amount = {
            "strength": float(st.slider("Strength", 0.1, MAX_STRENGTH, value=1.0, step=0.1, key=f"{key}-strength"))
        }
    spot = st.container()
    try:
        scope = _scope(asked, key)
        about: dict[str, Any] = {
            "reason": st.text_input("Reason", key=f"{key}-reason", max_chars=MAX_TEXT).strip(),
            "owner": editor,
        }
        return Rule(_id(action, found), action, scope, (found.product_id,), **amount, **about, **_end(key)), spot
    except RetrievalError as error:
        st.warning(notices.sentence(error.message, error.next_step), icon=":material/edit_note:")
        return None, spot


def _id(action: str, found: AnswerNeighbour) -> str:
    """Return the id of the rule in the dialog, the same while the dialog is open."""
    key = f"menu-id-{action}-{found.product_id}"
    return str(st.session_state.setdefault(key, state.named(action, found.product_id)))


def _end(key: str) -> dict[str, Any]:
    day = st.date_input("Until the end of (optional)", value=None, key=f"{key}-until", width=220)
    if day is None:
        return {}
    return {"ends": f"{datetime.combine(day, time(23, 59)):%Y-%m-%dT%H:%M}", "zone": titles.zone()}


def _scope(asked: Asked, key: str) -> Scope:
    """Ask in which answers: those like this one first, all of them last."""
    options = _scopes(asked)
    chosen = st.selectbox("In which answers", list(options), key=f"{key}-scope")
    kind, values = options[chosen]
    if kind != "picture":
        return Scope(kind, values)
    near = radius(f"{key}-radius", 0.0)
    return Scope("picture", (_kept(asked),), near)


def _scopes(asked: Asked) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the kinds of answers to choose from, by their titles.

    A rule for a photo is for all of it: where only a part of one was looked for, it would not hold in that very answer.
    """
    query = asked.query
    options: dict[str, tuple[str, tuple[str, ...]]] = {}
    if query.product_id:
        options[f"For the product {query.product_id}"] = ("product", (query.product_id,))
    elif query.region is None:
        options["For this photo and similar ones"] = ("picture", ())
    nearest = nearest_of(asked.answer)
    for name in NAMED_BY:
        if text := getattr(nearest, name):
            options[f"For the {name.replace('_', ' ')} {text}"] = (name, (text,))
    options["In all answers"] = ("all", ())
    return options


def nearest_of(answer: Answer) -> AnswerNeighbour:
    """Return the neighbour that would be first without rules, as far as an answer with rules shows it."""
    first = next((one for one in answer.neighbours if one.rank_before == 1), None)
    return first or max(answer.neighbours, key=lambda one: one.similarity)
