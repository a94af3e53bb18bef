"""Rules in the words of the screen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

import streamlit as st

from backend.retrieval.rules.rule import SCOPES as SCOPE_KINDS

if TYPE_CHECKING:
    from backend.retrieval.rules.rule import Rule

ACTIONS = {
    "pin": "Pin",
    "soft pin": "Soft pin",
    "boost": "Boost",
    "bury": "Bury",
    "block": "Block",
    "fall-back": "Fall-back",
}
HELP = {
    "pin": "The product appears at exactly this place.",
    "soft pin": "The product appears at this place or above.",
    "boost": "Moves products up.",
    "bury": "Moves products down.",
    "block": "The products never appear.",
    "fall-back": "Fills the end of an answer that has free places, in this order.",
}
# What a rule did to a result.
DONE = {
    "pin": "pinned",
    "soft pin": "soft pin",
    "boost": "boosted",
    "bury": "buried",
    "block": "blocked",
    "fall-back": "fall-back",
}
_SCOPES = {
    "all": "All answers",
    "product": "Answers for a product",
    "nearest": "Answers whose nearest product is",
    "picture": "Answers for a photo and similar ones",
}
SCOPES = {kind: _SCOPES.get(kind, f"Answers about a {kind.replace('_', ' ')}") for kind in SCOPE_KINDS}
STATES = ("Live", "Scheduled", "Ended")
RADII = {0.02: "Only this photo", 0.05: "Almost the same", 0.1: "Very similar", 0.2: "Similar", 0.35: "Loosely similar"}


def scope_title(kind: str) -> str:
    """Return the title of a kind of scope."""
    return SCOPES[kind]


def state_of(rule: Rule, now: datetime) -> str:
    """Say whether a rule is live at a time, not yet, or no more."""
    if rule.holds_at(now):
        return STATES[0]
    starts, _ = rule.times
    return STATES[1] if starts is not None and now < starts else STATES[2]


def zone() -> str:
    """The time zone of whoever looks; UTC where the browser does not say."""
    found = st.context.timezone
    return found if found in available_timezones() else "UTC"


def now() -> datetime:
    """Return the current time, with its zone."""
    return datetime.now(UTC)
