"""Rules in words, as pages, commands and messages say them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.retrieval.rules.rule import Rule, Scope

_SHOWN = 3
_SCOPES = {
    "product": "answers for {}",
    "nearest": "answers whose nearest product is {}",
}


def listed(names: Sequence[str]) -> str:
    """Name some things, and count the rest: A, B, C and 4 more."""
    shown, more = ", ".join(names[:_SHOWN]), len(names) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number with what is counted: 1 rule, 2 rules."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def scope_said(scope: Scope) -> str:
    """Say in which answers a rule holds."""
    if scope.kind == "all":
        return "every answer"
    if scope.kind == "picture":
        return f"answers to pictures within {scope.radius:g} of the picture {scope.values[0][:12]}"
    return _SCOPES.get(scope.kind, f"answers about the {scope.kind} {{}}").format(listed(scope.values))


def said(rule: Rule) -> str:
    """Say what a rule does, where, and when: ``pin B2 at place 1 in answers for A1, from 2026-12-01 09:00 UTC``."""
    what = listed(rule.products) if rule.products else f"products with {where_said(rule.where)}"
    how = f" at{' or above' if rule.action == 'soft pin' else ''} place {rule.slot}" if rule.slot else ""
    how += f" by {rule.strength:g}" if rule.strength else ""
    verb = "pin" if rule.slot else "fall back to" if rule.action == "fall-back" else rule.action
    return f"{verb} {what}{how} in {scope_said(rule.scope)}{_when(rule)}"


def where_said(where: Sequence[tuple[str, Any]]) -> str:
    """Say conditions."""
    texts = (listed(value) if isinstance(value, tuple) else str(value).lower() for _, value in where)
    return " and ".join(f"{name.replace('_', ' ')} {text}" for (name, _), text in zip(where, texts, strict=True))


def _when(rule: Rule) -> str:
    times = [f"{word} {text.replace('T', ' ')}" for word, text in (("from", rule.starts), ("until", rule.ends)) if text]
    return f", {' '.join(times)} {rule.zone}" if times else ""
