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
    what = listed(rule.products) if rule.products else where_said(rule.where)
    how = f" at{' or above' if rule.action == 'soft pin' else ''} place {rule.slot}" if rule.slot else ""
    how += f" by {rule.strength:g}" if rule.strength else ""
    verb = "pin" if rule.slot else "fall back to" if rule.action == "fall-back" else rule.action
    return f"{verb} {what}{how} in {scope_said(rule.scope)}{_when(rule)}"


def where_said(where: Sequence[tuple[str, Any]]) -> str:
    """Say which products fulfil conditions: ``products with category Shoes and price up to 20 that are sold out``."""
    having = [_having(name, value) for name, value in where if not isinstance(value, bool)]
    being = [f"are {'' if value else 'not '}{_words(name)}" for name, value in where if isinstance(value, bool)]
    parts = (("with", having), ("that", being))
    return " ".join(["products", *(f"{word} {' and '.join(texts)}" for word, texts in parts if texts)])


def _having(name: str, value: tuple[str, ...] | float) -> str:
    if isinstance(value, tuple):
        return f"{_words(name)} {listed(value)}"
    what, _, end = name.rpartition("_")
    return f"{_words(what)} {'from' if end == 'min' else 'up to'} {value:g}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _when(rule: Rule) -> str:
    times = [f"{word} {text.replace('T', ' ')}" for word, text in (("from", rule.starts), ("until", rule.ends)) if text]
    return f", {' '.join(times)} {rule.zone}" if times else ""
