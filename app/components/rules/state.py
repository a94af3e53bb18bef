"""What a session keeps about rules: who edits them, which rule is in the form, and which product a rule is made for."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from app import identity, state
from app.words import plain

if TYPE_CHECKING:
    from backend.retrieval.rules.rule import Action, Rule, Scope

RULE = "rule"  # of the address line: the rule to edit
PERSON = "person"
_FORM, _PRODUCT, _PLACE, _SAID = "rule_form", "rule_product", "rule_place", "rule_said"
_NO_ID = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Form:
    """A rule that is being edited; ``number`` tells its widgets from those of the last form, ``was`` is None for a new one.

    ``action``, ``scope`` and ``products`` are what a new one begins with.
    """

    number: str
    id: str
    was: Rule | None = None
    action: Action = "pin"
    scope: Scope | None = None
    products: tuple[str, ...] = ()


def person() -> str:
    """Who edits: whoever has signed in; where nobody does, the name that was given, empty before that."""
    found = identity.current() if identity.is_signing_in() else None
    return found.name if found is not None else str(state.noted(PERSON) or "")


def name_person() -> None:
    """Remember the name that was just typed."""
    state.note(PERSON, " ".join(str(state.chosen(PERSON) or "").split()))


def form() -> Form | None:
    """The rule in the form; None while none is edited."""
    found: Form | None = state.noted(_FORM)
    return found


def edit(rule: Rule | None) -> None:
    """Open the form with a rule, or with a new one."""
    number = secrets.token_hex(4)
    state.note(_FORM, Form(number, rule.id if rule else f"rule-{number}", rule))


def begin(action: Action, scope: Scope | None, products: tuple[str, ...]) -> None:
    """Open the form with a new rule of which this is known."""
    number = secrets.token_hex(4)
    state.note(_FORM, Form(number, f"rule-{number}", None, action, scope, products))


def close() -> None:
    """Close the form."""
    state.forget(_FORM)


def named(action: str, about: str) -> str:
    """Return an id for a new rule that says what it does: ``pin-B2-3f9c``."""
    words = _NO_ID.sub("-", f"{action} {about}").strip("-")[:48]
    return f"{words}-{secrets.token_hex(2)}"


def asked_rule() -> str:
    """The rule that the address line names, once; empty when it names none."""
    return str(st.query_params.pop(RULE, ""))


def rule_for(product_id: str, place: int = 1) -> None:
    """Begin a rule about a product of the answer that is shown, a pin to a place at first."""
    state.note(_PRODUCT, product_id)
    state.note(_PLACE, place)


def place() -> int:
    """The place that a rule being made pins its product to at first."""
    return int(state.noted(_PLACE) or 1)


def product() -> str:
    """The product that a rule is being made about; empty when there is none."""
    return str(state.noted(_PRODUCT) or "")


def forget_product() -> None:
    """Make no rule any more."""
    state.forget(_PRODUCT)


def say(sentence: str) -> None:
    """Have the next run say something that was done."""
    state.note(_SAID, sentence)


def show_said() -> None:
    """Say what was done."""
    if sentence := state.noted(_SAID):
        st.toast(plain(str(sentence)), icon=":material/check:")
        state.forget(_SAID)
